#include "services/scheduling/admission.h"

#include <gtest/gtest.h>

#include <functional>

namespace allod::scheduling::admission_test {
namespace {

const AdmissionConfig kConfig = {{{"ke-1", "ke"}, {"tz-1", "tz"}}, 50, {16, 4096}};

InstanceSpec Spec() {
  InstanceSpec spec;
  spec.listing = "listings/l";
  spec.variant = "models/m/versions/1/variants/q4_k_m";
  spec.region = "ke-1";
  return spec;
}

AdmissionFacts Facts() {
  AdmissionFacts facts;
  facts.tenant_name = "tenants/ke";
  facts.tenant_active = true;
  facts.residency = {{"ke"}};
  facts.listing = AdmissionFacts::Listing{true, "models/m/versions/1", {}, "priceBooks/b"};
  facts.variant = AdmissionFacts::Variant{std::string(64, 'a'), 1000, 1'000'000, 2048};
  facts.billing_currency = "KES";
  facts.prices = {{"USD", ""}, {"KES", ""}};
  return facts;
}

TEST(Admit, PinsWhatWasTrueOfTheModelAndFillsInDefaults) {
  const auto revision = Admit(Spec(), Facts(), kConfig);
  ASSERT_TRUE(revision) << revision.error().message;
  EXPECT_EQ(revision->spec.replicas, 1);
  EXPECT_EQ(revision->spec.max_concurrency, 4);
  EXPECT_EQ(revision->spec.context_tokens, 2048) << "the smaller of 4096 and what it was trained for";
  EXPECT_EQ(revision->price_book, "priceBooks/b");
  EXPECT_EQ(revision->artifact_bytes, 1000);
  EXPECT_GT(revision->demand.weights_bytes, 64 << 20);
  EXPECT_EQ(revision->demand.shared_key, revision->artifact_sha256);
  EXPECT_EQ(revision->demand.own.cpu_millis, 50);
  EXPECT_EQ(revision->residency, std::vector<std::string>{"ke"});
}

TEST(Admit, UsesAtMost4096TokensOfContextUnlessAsked) {
  auto facts = Facts();
  facts.variant->trained_context_tokens = 131'072;
  EXPECT_EQ(Admit(Spec(), facts, kConfig)->spec.context_tokens, 4096);
  auto spec = Spec();
  spec.context_tokens = 8192;
  EXPECT_EQ(Admit(spec, facts, kConfig)->spec.context_tokens, 8192);
}

TEST(Admit, NamesRegionJurisdictionAndResidency) {
  auto spec = Spec();
  spec.region = "tz-1";
  const auto refused = Admit(spec, Facts(), kConfig);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(refused.error().reason, "REGION_OUTSIDE_RESIDENCY");
  EXPECT_EQ(refused.error().message,
            "spec.region tz-1 lies in jurisdiction tz, outside the tenant's residency (ke), which holds for WEIGHTS; "
            "tenants/ke must name another region");
}

TEST(Admit, AcceptsAPriceOfTheVariantAlone) {
  auto facts = Facts();
  facts.prices = {{"KES", "q4_k_m"}};
  EXPECT_TRUE(Admit(Spec(), facts, kConfig));
}

TEST(Admit, CountsTheWeightsOfEachClassWhereTheyLie) {
  auto facts = Facts();
  facts.variant->kv_bytes_per_token = 100;
  auto spec = Spec();
  const auto demand = [&](IsolationClass isolation) {
    spec.isolation_class = isolation;
    return Admit(spec, facts, kConfig)->demand;
  };
  EXPECT_EQ(demand(IsolationClass::kIsolated).own.memory_bytes, 100 * 2048 * 4 + (8 << 20));
  EXPECT_EQ(demand(IsolationClass::kPooled).pool_bytes, 100 * 2048 * 16 + (8 << 20));
  EXPECT_EQ(demand(IsolationClass::kPooled).own.cpu_millis, 5) << "a tenth of 50";
  EXPECT_TRUE(demand(IsolationClass::kDedicated).shared_key.empty());
}

TEST(Admit, GivesAPooledInstanceTheContextOfItsPool) {
  auto facts = Facts();
  facts.variant->trained_context_tokens = 131'072;
  auto spec = Spec();
  spec.isolation_class = IsolationClass::kPooled;
  AdmissionConfig config = kConfig;
  config.pool = {8, 1024};
  EXPECT_EQ(Admit(spec, facts, config)->spec.context_tokens, 1024);
  spec.context_tokens = 2048;
  const auto refused = Admit(spec, facts, config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "CONTEXT_TOO_LONG");
  EXPECT_EQ(refused.error().message,
            "spec.context_tokens is 2048; the pooled class offers at most 1024 here: ask for less, or for the isolated "
            "class");
  spec.context_tokens = 0;
  spec.max_concurrency = 9;
  EXPECT_EQ(Admit(spec, facts, config).error().reason, "INVALID_SPEC");
}

TEST(Admit, GivesAPooledInstanceNoMoreReplicasThanItsRegionHasNodes) {
  auto spec = Spec();
  spec.isolation_class = IsolationClass::kPooled;
  spec.context_tokens = 512;
  spec.replicas = 2;
  AdmissionConfig config = kConfig;
  int nodes = 0;
  config.nodes_in = [&](const std::string& region) { return region == spec.region ? nodes : 100; };
  EXPECT_TRUE(Admit(spec, Facts(), config)) << "before a node has joined nobody knows how many there will be";
  nodes = 1;
  const auto refused = Admit(spec, Facts(), config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TOO_FEW_NODES");
  EXPECT_EQ(
      refused.error().message,
      "spec.replicas is 2; the pooled class holds an instance once on each node, and region ke-1 has 1: ask for at "
      "most 1, or for the isolated class");
  nodes = 2;
  EXPECT_TRUE(Admit(spec, Facts(), config));
  nodes = 1;
  spec.isolation_class = IsolationClass::kIsolated;
  EXPECT_TRUE(Admit(spec, Facts(), config));
}

TEST(Admit, WantsAPriceOfTheClass) {
  auto facts = Facts();
  auto spec = Spec();
  facts.prices = {{"KES", "", "isolated"}, {"KES", "q8_0", "pooled"}};
  EXPECT_TRUE(Admit(spec, facts, kConfig));
  spec.isolation_class = IsolationClass::kPooled;
  const auto refused = Admit(spec, facts, kConfig);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "spec.listing listings/l has no price for variant q4_k_m in the pooled class in KES");
}

struct Refusal {
  const char* name;
  std::function<void(InstanceSpec&, AdmissionFacts&)> spoil;
  const char* reason;
};

TEST(Admit, TakesNoContextThatHoldsNoChatAndNamesTheLeast) {
  InstanceSpec spec = Spec();
  spec.context_tokens = 7;
  const auto refused = Admit(spec, Facts(), kConfig);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "spec.context_tokens is 7; give at least 64, or 0 for the default");
  spec.context_tokens = 64;
  EXPECT_TRUE(Admit(spec, Facts(), kConfig));
}

class AdmitRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(AdmitRefuses, WithItsReason) {
  InstanceSpec spec = Spec();
  AdmissionFacts facts = Facts();
  GetParam().spoil(spec, facts);
  const auto refused = Admit(spec, facts, kConfig);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, GetParam().reason) << refused.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    All, AdmitRefuses,
    testing::Values(
        Refusal{"SuspendedTenant", [](auto&, auto& f) { f.tenant_active = false; }, "TENANT_SUSPENDED"},
        Refusal{"UndeclaredRegion", [](auto& s, auto&) { s.region = "atlantis"; }, "UNKNOWN_REGION"},
        Refusal{"PromptsElsewhere", [](auto&, auto& f) { f.residency.of_class[DataClass::kPrompts] = {"tz"}; },
                "REGION_OUTSIDE_RESIDENCY"},
        Refusal{"EmptyResidency", [](auto&, auto& f) { f.residency = {}; }, "REGION_OUTSIDE_RESIDENCY"},
        Refusal{"NoListing", [](auto&, auto& f) { f.listing.reset(); }, "LISTING_NOT_AVAILABLE"},
        Refusal{"WithdrawnListing", [](auto&, auto& f) { f.listing->active = false; }, "LISTING_NOT_AVAILABLE"},
        Refusal{"OutsideTheTerritory", [](auto&, auto& f) { f.listing->territory = {"tz"}; }, "LISTING_NOT_AVAILABLE"},
        Refusal{"OtherVersion", [](auto&, auto& f) { f.listing->version = "models/m/versions/2"; },
                "VARIANT_NOT_IN_LISTING"},
        Refusal{"VersionWithSamePrefix", [](auto&, auto& f) { f.listing->version = "models/m/versions/"; },
                "VARIANT_NOT_IN_LISTING"},
        Refusal{"NoVariant", [](auto&, auto& f) { f.variant.reset(); }, "VARIANT_NOT_IN_LISTING"},
        Refusal{"NoBillingAccount", [](auto&, auto& f) { f.billing_currency.reset(); }, "NO_BILLING_ACCOUNT"},
        Refusal{"NoPriceInTheCurrency",
                [](auto&, auto& f) {
                  f.prices = {{"USD", ""}};
                },
                "PRICE_NOT_FOUND"},
        Refusal{"NoPriceOfTheVariant",
                [](auto&, auto& f) {
                  f.prices = {{"KES", "q8_0"}};
                },
                "PRICE_NOT_FOUND"},
        Refusal{"TooLongAContext", [](auto& s, auto&) { s.context_tokens = 2049; }, "CONTEXT_TOO_LONG"},
        Refusal{"NegativeContext", [](auto& s, auto&) { s.context_tokens = -1; }, "INVALID_SPEC"},
        Refusal{"ContextThatNoChatFitsIn", [](auto& s, auto&) { s.context_tokens = kContextTokensMin - 1; },
                "INVALID_SPEC"},
        Refusal{"TooManyReplicas", [](auto& s, auto&) { s.replicas = 17; }, "INVALID_SPEC"},
        Refusal{"TooMuchConcurrency", [](auto& s, auto&) { s.max_concurrency = 65; }, "INVALID_SPEC"},
        Refusal{"PriceOfAnotherClassAlone",
                [](auto&, auto& f) {
                  f.prices = {{"KES", "", "dedicated"}};
                },
                "PRICE_NOT_FOUND"},
        Refusal{"OfferThatCouldNotBeAskedFor",
                [](auto&, auto& f) { f.offer = Fail(Code::kUnavailable, "RPC_FAILED", "away"); }, "RPC_FAILED"},
        Refusal{"ResidencyBeforeAnOfferThatCouldNotBeAskedFor",
                [](auto&, auto& f) {
                  f.offer = Fail(Code::kUnavailable, "RPC_FAILED", "away");
                  f.residency = {};
                },
                "REGION_OUTSIDE_RESIDENCY"},
        Refusal{"NegativeSleep", [](auto& s, auto&) { s.sleep_after_seconds = -1; }, "INVALID_SPEC"},
        Refusal{"SleepOfMoreThanAWeek", [](auto& s, auto&) { s.sleep_after_seconds = 604'801; }, "INVALID_SPEC"},
        Refusal{"ListingThatIsNoName", [](auto& s, auto&) { s.listing = "../l"; }, "INVALID_NAME"},
        Refusal{"VariantThatIsNoName", [](auto& s, auto&) { s.variant = "models/m"; }, "INVALID_NAME"}),
    [](const auto& refusal) { return refusal.param.name; });

}  // namespace
}  // namespace allod::scheduling::admission_test
