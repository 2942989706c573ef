// What the audit log says of one person is erased, by whoever may, and the log stays whole.
#include <gtest/gtest.h>

#include "services/common/audit/access_log.h"
#include "services/common/audit/convert.h"
#include "services/common/rpc/client.h"
#include "services/tenancy/audit_service.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/pg_store_identity.h"
#include "services/tenancy/pg_store_members.h"
#include "services/tenancy/pg_store_sessions.h"
#include "services/tenancy/session_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::audit_erasure_test {
namespace {

using namespace std::chrono_literals;
using AuditStub = v1::AuditService::Stub;

const Caller kOwner = Caller::Person("ke", Uuid::V7().ToString(), {Role::ROLE_OWNER});

class AuditErasureTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = *Server::Start({.listen = address_}, {&audit_});
    stub_ = v1::AuditService::NewStub(MakeChannel(address_));
    for (const char* id : {"ke", "ug"}) {
      ASSERT_TRUE(tenants_.CreateTenant({id, id, "KES", {id}, TenantState::kActive, clock_.Now()}, {}));
      for (const char* provider : {"corp", "gov"}) {
        IdentityProvider made{.tenant = id,
                              .id = provider,
                              .display_name = "Accounts",
                              .issuer = std::string("https://") + provider + ".example",
                              .create_time = clock_.Now()};
        made.sign_in = SignIn{.client_id = "allod"};
        ASSERT_TRUE(identities_.CreateProvider(made, {}));
      }
      for (const char* member : {"achieng", "njeri"}) {
        ASSERT_TRUE(members_.CreateMember({.tenant = id,
                                           .id = member,
                                           .uid = Uuid::V7(),
                                           .display_name = std::string(member) + " of " + id,
                                           .provider = "corp",
                                           .claims = {{"email", std::string(member) + "@corp.example"}},
                                           .grants = {{"", {Role::ROLE_OWNER}}},
                                           .create_time = clock_.Now()},
                                          {}));
      }
      BeginSessionOf(id, "s1");
      BeginSessionOf(id, "s1");
      BeginSessionOf(id, "s2");
    }
  }
  void TearDown() override { server_->Stop(1s); }

  void BeginSessionOf(const std::string& tenant, const std::string& subject) {
    std::string digest = std::to_string(++number_);
    digest.insert(0, 64 - digest.size(), '0');
    ASSERT_TRUE(sessions_.BeginSession({.tenant = tenant,
                                        .id = Uuid::V7(),
                                        .person = {"corp", subject},
                                        .display_name = "Name of " + subject,
                                        .members = {"achieng"},
                                        .client_address = "192.0.2.1",
                                        .create_time = clock_.Now(),
                                        .expire_time = clock_.Now() + 1h},
                                       digest));
  }
  Result<v1::EraseAuditPersonResponse> Erase(const v1::EraseAuditPersonRequest& request,
                                             const Caller& caller = kOwner) {
    return CallUnary(*stub_, &AuditStub::EraseAuditPerson, request, caller, 5s);
  }
  static v1::EraseAuditPersonRequest OfMember(const std::string& member) {
    v1::EraseAuditPersonRequest out;
    out.set_parent("tenants/ke");
    out.set_member(member);
    return out;
  }
  static v1::EraseAuditPersonRequest OfPerson(const std::string& provider, const std::string& subject) {
    v1::EraseAuditPersonRequest out;
    out.set_parent("tenants/ke");
    out.mutable_person()->set_identity_provider(provider);
    out.mutable_person()->set_subject(subject);
    return out;
  }
  // The whole log, in words; fails if it is broken.
  std::string Told(const std::string& tenant) {
    const std::string name = "tenants/" + tenant;
    v1::ListAuditEntriesRequest request;
    request.set_parent(name);
    request.set_page_size(1000);
    const auto listed = CallUnary(*stub_, &AuditStub::ListAuditEntries, request, Caller::Tenant(tenant), 5s);
    EXPECT_TRUE(listed) << listed.error().message;
    audit::ChainVerifier verifier(audit::Genesis("tenancy", name));
    std::string out;
    for (const auto& entry : listed->entries()) {
      if (const auto broken = verifier.Add(*audit::FromProto(entry))) ADD_FAILURE() << broken->words;
      out += entry.action() + " " + entry.resource() + " ";
      for (const auto& detail : entry.details()) out += detail.name() + "=" + detail.value() + " ";
      out += "\n";
    }
    return out;
  }
  static int Count(const std::string& text, const std::string& what) {
    int out = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++out;
    return out;
  }

  FakeClock clock_;
  int number_ = 0;
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  PgStore tenants_{pool_};
  PgIdentityStore identities_{pool_};
  PgMemberStore members_{pool_};
  PgSessionStore sessions_{pool_};
  CallGates gates_;
  audit::Reader reader_{pool_, "tenancy", gates_.reads};
  AuditErasure erasure_{pool_};
  AuditServiceImpl audit_{reader_, erasure_, gates_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<AuditStub> stub_;
};

TEST_F(AuditErasureTest, OfAMemberNothingIsToldAnyMore) {
  const std::string others = Told("ug");
  ASSERT_EQ(Count(Told("ke"), "achieng@corp.example"), 1);
  const auto erased = Erase(OfMember("tenants/ke/members/achieng"));
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_EQ(erased->erased(), 2) << "the name and the claims";
  EXPECT_FALSE(erased->has_more());
  const std::string told = Told("ke");
  EXPECT_EQ(Count(told, "achieng@corp.example"), 0);
  EXPECT_EQ(Count(told, "achieng of ke"), 0);
  EXPECT_EQ(Count(told, "njeri@corp.example"), 1) << "another's is there";
  EXPECT_EQ(Count(told, "tenancy.auditEntries.erase tenants/ke/members/achieng values=2"), 1) << told;
  EXPECT_EQ(Told("ug"), others);
  EXPECT_EQ(Erase(OfMember("tenants/ke/members/achieng"))->erased(), 0);
  EXPECT_EQ(Erase(OfMember("tenants/ke/members/nobody"))->erased(), 0);
  EXPECT_EQ(Told("ke"), told) << "what erases nothing leaves no entry";
}

TEST_F(AuditErasureTest, OfWhoSignedInNothingIsToldAnyMoreNotEvenByTheErasing) {
  ASSERT_TRUE(sessions_.EndSessions("ke", {"corp", "s1"}, clock_.Now()));
  ASSERT_EQ(Count(Told("ke"), "subject=s1 "), 3);
  EXPECT_EQ(Erase(OfPerson("tenants/ke/identityProviders/gov", "s1"))->erased(), 0) << "another's s1";
  const auto erased = Erase(OfPerson("tenants/ke/identityProviders/corp", "s1"), Caller::Operator());
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_EQ(erased->erased(), 2 * 3 + 1);
  const std::string told = Told("ke");
  EXPECT_EQ(Count(told, "s1"), 0) << told;
  EXPECT_EQ(Count(told, "subject=s2 "), 1);
  EXPECT_EQ(Count(told, "tenancy.auditEntries.erase tenants/ke/identityProviders/corp values=7"), 1) << told;
  EXPECT_EQ(Count(Told("ug"), "subject=s1 "), 2);
}

TEST_F(AuditErasureTest, OfARefusedSignInNothingIsToldAnyMore) {
  IdentityFeed feed{identities_, clock_};
  const ClientSecrets secrets{"a pepper of some length"};
  IdentityServiceImpl identities{feed, secrets};
  audit::AccessLog log{pool_, "tenancy", clock_};
  SessionServiceImpl sessions{sessions_, identities, clock_, gates_,
                              [&](audit::Access access) { log.Record(std::move(access)); }};
  const std::string address = "unix:" + (sockets_ / "r.sock").string();
  const auto server = *Server::Start({.listen = address}, {&sessions});
  const auto gateway = v1::SessionService::NewStub(MakeChannel(address));
  v1::ReportRefusedSignInRequest refusal;
  refusal.set_identity_provider("tenants/ke/identityProviders/corp");
  refusal.set_reason("NOT_A_MEMBER");
  refusal.set_subject("stranger-1");
  refusal.set_client_address("192.0.2.77");
  using SessionStub = v1::SessionService::Stub;
  ASSERT_TRUE(CallUnary(*gateway, &SessionStub::ReportRefusedSignIn, refusal, Caller::Service("gateway"),
                        std::chrono::seconds(5)));
  server->Stop(1s);
  ASSERT_TRUE(log.WriteDue(true));
  ASSERT_EQ(Count(Told("ke"), "subject=stranger-1 client_address=192.0.2.77 "), 1) << Told("ke");
  EXPECT_EQ(Erase(OfPerson("tenants/ke/identityProviders/gov", "stranger-1"))->erased(), 0) << "another's";
  const auto erased = Erase(OfPerson("tenants/ke/identityProviders/corp", "stranger-1"));
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_EQ(erased->erased(), 2);
  EXPECT_EQ(Count(Told("ke"), "stranger-1"), 0);
  EXPECT_EQ(Count(Told("ke"), "192.0.2.77"), 0);
}

TEST_F(AuditErasureTest, TakesAnOwnerOrAnOperator) {
  const std::string before = Told("ke");
  for (const Role role : {Role::ROLE_ADMIN, Role::ROLE_AUDITOR, Role::ROLE_DEVELOPER}) {
    const auto erased =
        Erase(OfMember("tenants/ke/members/njeri"), Caller::Person("ke", Uuid::V7().ToString(), {role}));
    EXPECT_EQ(erased ? "" : erased.error().reason, "PERMISSION_MISSING");
  }
  EXPECT_EQ(Erase(OfMember("tenants/ke/members/njeri"), Caller::Tenant("ug")).error().code, Code::kNotFound);
  const auto key = Caller::Key("ke", "desk", {"portal"}, {Role::ROLE_ADMIN}, "kkkkkkkkkkkk");
  EXPECT_EQ(Erase(OfMember("tenants/ke/members/njeri"), key).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Told("ke"), before);
}

TEST_F(AuditErasureTest, SaysWhatItIsNotAsked) {
  EXPECT_EQ(Erase(OfMember("")).error().reason, "INVALID_PERSON");
  auto both = OfPerson("tenants/ke/identityProviders/corp", "s1");
  both.set_member("tenants/ke/members/njeri");
  EXPECT_EQ(Erase(both).error().reason, "INVALID_PERSON");
  EXPECT_EQ(Erase(OfMember("tenants/ug/members/njeri")).error().reason, "INVALID_NAME");
  EXPECT_EQ(Erase(OfMember("njeri")).error().reason, "INVALID_NAME");
  EXPECT_EQ(Erase(OfPerson("tenants/ug/identityProviders/corp", "s1")).error().reason, "INVALID_NAME");
  EXPECT_EQ(Erase(OfPerson("tenants/ke/identityProviders/corp", "")).error().reason, "INVALID_SUBJECT");
  auto nobody = OfMember("tenants/xx/members/njeri");
  nobody.set_parent("tenants/xx");
  EXPECT_EQ(Erase(nobody, Caller::Operator()).error().code, Code::kNotFound);
}

TEST_F(AuditErasureTest, GoesOnInBatches) {
  const auto first = erasure_.ErasePerson("ke", {"corp", "s1"}, 1);
  EXPECT_EQ(first->erased, 3);
  EXPECT_TRUE(first->more);
  EXPECT_EQ(erasure_.ErasePerson("ke", {"corp", "s1"}, 1)->erased, 3);
  EXPECT_FALSE(erasure_.ErasePerson("ke", {"corp", "s1"}, 1)->more);
}

}  // namespace
}  // namespace allod::tenancy::audit_erasure_test
