// What every store of identity providers and workload rules does, run on the fake and on PostgreSQL as the app role.
#include "tests/contract/identity_store_harness.h"

namespace allod::tenancy::identity_store_test {
namespace {

using identity_store_harness::IdentityStores;
using identity_store_harness::Request;

class IdentityStoreTest : public IdentityStores {
 protected:
  IdentityStore& store() { return identities(); }

  IdentityProvider Provider(const std::string& id = "ci", const std::string& tenant = "ke") const {
    return {.tenant = tenant,
            .id = id,
            .display_name = "CI — " + id,
            .issuer = "https://" + id + ".example/a,b{}",
            .audiences = {"allod", "x, \"y\" {z}\\"},
            .create_time = clock_.Now()};
  }
  WorkloadRule Rule(const std::string& id = "deploy", const std::string& project = "desk") const {
    return {.tenant = "ke",
            .project = project,
            .id = id,
            .uid = Uuid::V7(),
            .display_name = "Deployments",
            .provider = "ci",
            .claims = {{"sub", "repo:ke/\"a\",{b}\\", ClaimComparison::kPrefix}, {"ref", "NULL"}},
            .scopes = {Scope::kInference, Scope::kPortal},
            .roles = {Role::ROLE_DEVELOPER, Role::ROLE_BILLING},
            .token_minutes = 10,
            .create_time = clock_.Now()};
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, IdentityStoreTest, testing::Values("Fake", "PostgreSQL"),
                         [](const auto& test) { return test.param; });

TEST_P(IdentityStoreTest, GivesBackWhatWasMade) {
  const auto made = store().CreateProvider(Provider(), {});
  ASSERT_TRUE(made) << made.error().message;
  const auto provider = store().GetProvider("ke", "ci");
  ASSERT_TRUE(provider);
  EXPECT_TRUE(SameContent(*provider, Provider()));
  EXPECT_EQ(provider->create_time, clock_.Now());
  EXPECT_EQ(provider->version, made->version);
  EXPECT_GT(made->version, 0);
  const WorkloadRule wanted = Rule();
  ASSERT_TRUE(store().CreateRule(wanted, {}));
  const auto rule = store().GetRule("ke", "desk", "deploy");
  ASSERT_TRUE(rule);
  EXPECT_TRUE(SameContent(*rule, wanted));
  EXPECT_EQ(rule->uid, wanted.uid);
  EXPECT_EQ(rule->create_time, clock_.Now());
  EXPECT_EQ(Why(store().GetRule("ke", "lab", "deploy")), "NOT_FOUND");
  EXPECT_EQ(Why(store().GetProvider("ug", "ci")), "NOT_FOUND");
}

TEST_P(IdentityStoreTest, TheSameAgainIsWhatStandsAndOtherContentIsRefused) {
  const auto made = store().CreateProvider(Provider(), {});
  EXPECT_EQ(store().CreateProvider(Provider(), {})->version, made->version);
  IdentityProvider other = Provider();
  other.display_name = "Other";
  EXPECT_EQ(Why(store().CreateProvider(other, {})), "ALREADY_EXISTS");
  other = Provider("second");
  other.issuer = Provider().issuer;
  EXPECT_EQ(Why(store().CreateProvider(other, {})), "ISSUER_TAKEN");
  other.tenant = "ug";
  EXPECT_EQ(Why(store().CreateProvider(other, {})), "") << "tenants know nothing of each other's";
  const auto rule = store().CreateRule(Rule(), {});
  EXPECT_EQ(store().CreateRule(Rule(), {})->uid, rule->uid);
  WorkloadRule wider = Rule();
  wider.claims.pop_back();
  EXPECT_EQ(Why(store().CreateRule(wider, {})), "ALREADY_EXISTS");
}

TEST_P(IdentityStoreTest, NeedsTenantProjectAndProvider) {
  EXPECT_EQ(Why(store().CreateProvider(Provider("ci", "none"), {})), "NOT_FOUND");
  EXPECT_EQ(Why(store().CreateRule(Rule(), {})), "NOT_FOUND") << "no provider";
  ASSERT_TRUE(store().CreateProvider(Provider(), {}));
  EXPECT_EQ(Why(store().CreateRule(Rule("deploy", "none"), {})), "NOT_FOUND");
  EXPECT_EQ(Why(store().ListRules("ke", "none", {"", 10, ""})), "NOT_FOUND");
}

TEST_P(IdentityStoreTest, ARequestIdIsForOneRequest) {
  const Uuid id = Uuid::V7();
  const auto made = store().CreateProvider(Provider(), Request("a", id));
  ASSERT_TRUE(made);
  EXPECT_EQ(store().CreateProvider(Provider(), Request("a", id))->version, made->version);
  EXPECT_EQ(Why(store().CreateProvider(Provider("b"), Request("b", id))), "REQUEST_ID_REUSED");
  IdentityProvider changed = Provider();
  changed.disabled = true;
  const Uuid update = Uuid::V7();
  const auto updated = store().UpdateProvider(changed, EtagOf(*made), {Role::ROLE_OWNER}, Request("u", update));
  ASSERT_TRUE(updated);
  EXPECT_EQ(store().UpdateProvider(changed, EtagOf(*made), {Role::ROLE_OWNER}, Request("u", update))->version,
            updated->version);
  const Uuid remove = Uuid::V7();
  const auto removed = store().DeleteProvider("ke", "ci", Request("d", remove));
  ASSERT_TRUE(removed);
  EXPECT_GT(*removed, updated->version);
  const auto removed_again = store().DeleteProvider("ke", "ci", Request("d", remove));
  ASSERT_TRUE(removed_again);
  EXPECT_EQ(*removed_again, *removed) << "it is awaited as the first";
  EXPECT_EQ(Why(store().DeleteProvider("ke", "ci", {})), "NOT_FOUND");
  EXPECT_EQ(Why(store().CreateProvider(Provider(), Request("a", id))), "NOT_FOUND") << "it was deleted since";
  ASSERT_TRUE(store().CreateProvider(Provider(), {}));
  EXPECT_TRUE(store().CreateRule(Rule(), Request("r", id))) << "the project's ids are its own";
  EXPECT_EQ(Why(store().CreateRule(Rule("other"), Request("x", id))), "REQUEST_ID_REUSED");
  const auto rule_removed = store().DeleteRule("ke", "desk", "deploy", Request("d", remove));
  ASSERT_TRUE(rule_removed);
  EXPECT_EQ(*rule_removed, VersionOf("ke"));
  ASSERT_TRUE(store().CreateProvider(Provider("later"), {}));
  const auto repeated = store().DeleteRule("ke", "desk", "deploy", Request("d", remove));
  ASSERT_TRUE(repeated);
  EXPECT_EQ(*repeated, VersionOf("ke")) << "the tenant's last change holds the deletion too";
  EXPECT_GT(*repeated, *rule_removed);
}

TEST_P(IdentityStoreTest, ChangesWhatHasTheEtag) {
  const auto made = store().CreateProvider(Provider(), {});
  IdentityProvider changed = Provider();
  changed.audiences = {"new"};
  changed.disabled = true;
  EXPECT_EQ(Why(store().UpdateProvider(changed, "1000", {Role::ROLE_OWNER}, {})), "ETAG_MISMATCH");
  const auto updated = store().UpdateProvider(changed, EtagOf(*made), {Role::ROLE_OWNER}, {});
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_TRUE(SameContent(*updated, changed));
  EXPECT_GT(updated->version, made->version);
  EXPECT_EQ(Why(store().UpdateProvider(changed, EtagOf(*made), {Role::ROLE_OWNER}, {})), "ETAG_MISMATCH");
  EXPECT_EQ(store().UpdateProvider(changed, EtagOf(*updated), {Role::ROLE_OWNER}, {})->version, updated->version)
      << "nothing to change";
  changed.issuer = "https://elsewhere";
  EXPECT_EQ(Why(store().UpdateProvider(changed, EtagOf(*updated), {Role::ROLE_OWNER}, {})), "ISSUER_IMMUTABLE");

  const auto rule = store().CreateRule(Rule(), {});
  WorkloadRule wanted = Rule();
  wanted.claims = {{"sub", "x"}};
  wanted.scopes = {Scope::kInference};
  wanted.roles = {};
  wanted.token_minutes = 60;
  wanted.disabled = true;
  const auto narrowed = store().UpdateRule(wanted, EtagOf(*rule), {});
  ASSERT_TRUE(narrowed) << narrowed.error().message;
  EXPECT_TRUE(SameContent(*narrowed, wanted));
  EXPECT_EQ(narrowed->uid, rule->uid);
  EXPECT_EQ(narrowed->create_time, rule->create_time);
  EXPECT_EQ(Why(store().UpdateRule(wanted, EtagOf(*rule), {})), "ETAG_MISMATCH");
  wanted.provider = "none";
  EXPECT_EQ(Why(store().UpdateRule(wanted, EtagOf(*narrowed), {})), "NOT_FOUND");
}

TEST_P(IdentityStoreTest, SignInIsKeptAndItsSecretStaysUntilItIsReplaced) {
  const auto made = store().CreateProvider(SignInProvider(), {});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(SameContent(*made, SignInProvider()));
  EXPECT_TRUE(SameContent(*store().CreateProvider(SignInProvider(), {}), *made));
  IdentityProvider wanted = SignInProvider();
  wanted.sign_in = SignIn{.client_id = "other", .scopes = {"email"}, .keeps_secret = true};
  const auto kept = store().UpdateProvider(wanted, EtagOf(*made), {Role::ROLE_OWNER}, {});
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(*kept->sign_in, (SignIn{.client_id = "other", .scopes = {"email"}, .sealed_secret = "c2VhbGVk"}));
  wanted.sign_in->keeps_secret = false;
  const auto cleared = store().UpdateProvider(wanted, EtagOf(*kept), {Role::ROLE_OWNER}, {});
  ASSERT_TRUE(cleared) << cleared.error().message;
  EXPECT_EQ(cleared->sign_in->sealed_secret, "");
  wanted.sign_in.reset();
  wanted.audiences = {"allod"};
  const auto without = store().UpdateProvider(wanted, EtagOf(*cleared), {Role::ROLE_OWNER}, {});
  ASSERT_TRUE(without) << without.error().message;
  EXPECT_FALSE(store().GetProvider("ke", "corp")->sign_in);
}

TEST_P(IdentityStoreTest, AProviderThatMembersSignInWithKeepsItsSignIn) {
  const auto made = store().CreateProvider(SignInProvider(), {});
  ASSERT_TRUE(members().CreateMember(NewMember("viewer", {{"", {Role::ROLE_VIEWER}}}), {}));
  IdentityProvider wanted = SignInProvider();
  wanted.sign_in.reset();
  wanted.audiences = {"allod"};
  EXPECT_EQ(Why(store().UpdateProvider(wanted, EtagOf(*made), {Role::ROLE_OWNER}, {})), "IDENTITY_PROVIDER_IN_USE");
  EXPECT_EQ(Why(store().DeleteProvider("ke", "corp", {})), "IDENTITY_PROVIDER_IN_USE");
  wanted = SignInProvider();
  wanted.disabled = true;
  EXPECT_EQ(Why(store().UpdateProvider(wanted, EtagOf(*made), {Role::ROLE_OWNER}, {})), "") << "nobody is an owner";
  ASSERT_TRUE(members().DeleteMember("ke", "viewer", {Role::ROLE_OWNER}, {}));
  EXPECT_EQ(Why(store().DeleteProvider("ke", "corp", {})), "");
}

TEST_P(IdentityStoreTest, AProviderThatRulesNameStays) {
  ASSERT_TRUE(store().CreateProvider(Provider(), {}));
  ASSERT_TRUE(store().CreateRule(Rule(), {}));
  EXPECT_EQ(Why(store().DeleteProvider("ke", "ci", {})), "IDENTITY_PROVIDER_IN_USE");
  ASSERT_TRUE(store().DeleteRule("ke", "desk", "deploy", {}));
  EXPECT_TRUE(store().DeleteProvider("ke", "ci", {}));
  EXPECT_EQ(Why(store().DeleteRule("ke", "desk", "deploy", {})), "NOT_FOUND");
}

TEST_P(IdentityStoreTest, ListsPageByPage) {
  for (const char* id : {"a", "b", "ci"}) ASSERT_TRUE(store().CreateProvider(Provider(id), {}));
  ASSERT_TRUE(store().CreateProvider(Provider("d", "ug"), {}));
  const auto first = store().ListProviders("ke", {"s", 2, ""});
  ASSERT_EQ(first->items.size(), 2U);
  EXPECT_FALSE(first->next_page_token.empty());
  EXPECT_EQ(store().ListProviders("ke", {"s", 2, "b"})->items.at(0).id, "ci");
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(store().CreateRule(Rule(id), {}));
  ASSERT_TRUE(store().CreateRule(Rule("a", "lab"), {}));
  EXPECT_EQ(store().ListRules("ke", "desk", {"s", 10, ""})->items.size(), 3U);
  EXPECT_EQ(store().ListRules("ke", "desk", {"s", 2, "b"})->items.at(0).id, "c");
}

TEST_P(IdentityStoreTest, HasBounds) {
  for (int i = 0; i < kProvidersPerTenantMax; ++i) {
    ASSERT_TRUE(store().CreateProvider(Provider(i == 0 ? "ci" : "p" + std::to_string(i)), {}));
  }
  EXPECT_EQ(Why(store().CreateProvider(Provider("more"), {})), "TOO_MANY_IDENTITY_PROVIDERS");
  EXPECT_EQ(Why(store().CreateProvider(Provider(), {})), "") << "what is there may be asked for";
  for (int i = 0; i < kRulesPerProjectMax; ++i) ASSERT_TRUE(store().CreateRule(Rule("r" + std::to_string(i)), {}));
  EXPECT_EQ(Why(store().CreateRule(Rule("more"), {})), "TOO_MANY_WORKLOAD_RULES");
  EXPECT_EQ(Why(store().CreateRule(Rule("more", "lab"), {})), "");
}

TEST_P(IdentityStoreTest, VersionsAreOneOrderOfAllChanges) {
  EXPECT_TRUE(store().IdentityVersions(0, 100)->empty());
  ASSERT_TRUE(store().CreateProvider(Provider(), {}));
  ASSERT_TRUE(store().CreateProvider(Provider("ci", "ug"), {}));
  const std::int64_t first = VersionOf("ke");
  const std::int64_t second = VersionOf("ug");
  EXPECT_LT(first, second);
  const auto rule = store().CreateRule(Rule(), {});
  EXPECT_EQ(VersionOf("ke"), rule->version);
  EXPECT_GT(rule->version, second);
  const auto since = store().IdentityVersions(second, 100);
  ASSERT_EQ(since->size(), 1U);
  EXPECT_EQ(since->at(0), (TenantIdentityVersion{"ke", true, rule->version}));
  const auto gone = store().DeleteRule("ke", "desk", "deploy", {});
  EXPECT_EQ(VersionOf("ke"), *gone);
  EXPECT_GT(*gone, rule->version);
  backend_->Suspend("ug");
  const auto suspended = store().IdentityVersions(*gone, 100);
  ASSERT_EQ(suspended->size(), 1U);
  EXPECT_EQ(suspended->at(0).tenant, "ug");
  EXPECT_FALSE(suspended->at(0).active);
  EXPECT_EQ(store().IdentityVersions(0, 1)->size(), 1U);
}

TEST_P(IdentityStoreTest, ReadsAllOfATenantAndNothingElse) {
  ASSERT_TRUE(store().CreateProvider(Provider(), {}));
  ASSERT_TRUE(store().CreateProvider(Provider("ci", "ug"), {}));
  ASSERT_TRUE(store().CreateRule(Rule("a"), {}));
  ASSERT_TRUE(store().CreateRule(Rule("b", "lab"), {}));
  const auto all = store().ReadIdentity("ke", clock_.Now());
  ASSERT_TRUE(all);
  EXPECT_EQ(all->providers.size(), 1U);
  EXPECT_EQ(all->rules.size(), 2U);
  EXPECT_EQ(store().ReadIdentity("ug", clock_.Now())->rules.size(), 0U);
}

TEST_P(IdentityStoreTest, AWordThatNobodyKnowsIsNotReadAsAnother) {
  if (postgres() == nullptr) GTEST_SKIP() << "the fake has no words";
  ASSERT_TRUE(store().CreateProvider(Provider(), {}));
  ASSERT_TRUE(store().CreateRule(Rule(), {}));
  const auto as_owner = [&](const std::string& statement) { return postgres()->AsOwner("ke", statement); };
  const auto words = as_owner("SELECT scopes::text, claim_matches::text FROM tenancy.workload_rules");
  ASSERT_EQ(words.size(), 1);
  EXPECT_EQ(words[0][0].as<std::string>(), "{INFERENCE,PORTAL}") << "as the scopes of keys";
  EXPECT_EQ(words[0][1].as<std::string>(), "{prefix,equals}");
  // The constraints forbid it; a row that came another way is refused all the same.
  as_owner(
      "DO $$ DECLARE c text; BEGIN FOR c IN SELECT conname FROM pg_constraint "
      "WHERE conrelid = 'tenancy.workload_rules'::regclass AND contype = 'c' LOOP "
      "EXECUTE format('ALTER TABLE tenancy.workload_rules DROP CONSTRAINT %I', c); END LOOP; END $$");
  const auto read_with = [&](const std::string& columns) {
    as_owner("UPDATE tenancy.workload_rules SET " + columns);
    const auto read = store().ReadIdentity("ke", clock_.Now());
    return read ? Code::kOk : read.error().code;
  };
  EXPECT_EQ(read_with("claim_matches = '{prefix,contains}'"), Code::kOk);
  EXPECT_EQ(read_with("claim_matches = '{prefix,regex}'"), Code::kInternal);
  EXPECT_EQ(read_with("claim_matches = '{prefix,equals}', scopes = '{INFERENCE,inference}'"), Code::kInternal);
  EXPECT_EQ(read_with("scopes = '{INFERENCE,PORTAL}'"), Code::kOk);
}

}  // namespace
}  // namespace allod::tenancy::identity_store_test
