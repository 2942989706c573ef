#include "gateway/access/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <vector>

namespace allod::gateway::access::admission_test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr SteadyTime kStart{std::chrono::hours(1000)};
const LimitTable kNone;

Principal Key(const std::string& kid, const std::string& tenant) {
  Principal out;
  out.id = kid;
  out.tenant = "tenants/" + tenant;
  out.project = out.tenant + "/projects/p";
  return out;
}

std::string Find(const http::Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

// The reason's message; empty: admitted.
std::string Ask(Admission& admission, const Principal& principal, SteadyTime now = kStart) {
  http::Headers headers;
  const auto permit = admission.Admit(principal, now, headers);
  return permit ? "" : permit.error().message;
}

TEST(Admission, ATenantIsBoundHoweverManyKeysItMakes) {
  Admission admission({.key = {.requests_per_minute = 5}, .tenant = {.requests_per_minute = 12}}, kNone, std::nullopt);
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += Ask(admission, Key("k" + std::to_string(i), "ke")).empty() ? 1 : 0;
  EXPECT_EQ(admitted, 12);
  EXPECT_THAT(Ask(admission, Key("fresh", "ke")), HasSubstr("this tenant"));
  EXPECT_EQ(Ask(admission, Key("k", "tz")), "") << "another tenant has its own";
  EXPECT_EQ(Ask(admission, Key("fresh", "ke"), kStart + seconds(10)), "");
}

TEST(Admission, AKeyThatIsRefusedTakesNothingFromItsNeighbours) {
  Admission admission({.key = {.requests_per_minute = 5}, .tenant = {.requests_per_minute = 12}}, kNone, std::nullopt);
  for (int i = 0; i < 1000; ++i) (void)Ask(admission, Key("flood", "ke"));
  EXPECT_THAT(Ask(admission, Key("flood", "ke")), HasSubstr("this key"));
  int admitted = 0;
  for (int i = 0; i < 5; ++i) admitted += Ask(admission, Key("calm", "ke")).empty() ? 1 : 0;
  EXPECT_EQ(admitted, 5);
}

TEST(Admission, WhoIsNoKeyIsNotToldOfOne) {
  const LimitTable none;
  Admission admission({.key = {.requests_per_minute = 1}}, none, std::nullopt);
  Principal workload = Key("w", "ke");
  workload.rule = "deploy";
  Principal person = Key("s", "ke");
  person.project.clear();
  person.session = "0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e";
  const auto refusal = [&](const Principal& principal) {
    EXPECT_EQ(Ask(admission, principal), "");
    return Ask(admission, principal);
  };
  EXPECT_THAT(refusal(workload), HasSubstr("this workload has used"));
  EXPECT_THAT(refusal(person), HasSubstr("this session has used"));
  EXPECT_THAT(refusal(Key("k", "ke")), HasSubstr("this key has used"));
}

TEST(Admission, HeadersTellOfTheLimitThatLeavesLess) {
  Admission admission({.key = {.requests_per_minute = 5, .tokens_per_minute = 1000},
                       .tenant = {.requests_per_minute = 6, .tokens_per_minute = 500}},
                      kNone, std::nullopt);
  http::Headers headers;
  auto permit = admission.Admit(Key("a", "ke"), kStart, headers);
  ASSERT_TRUE(permit);
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-requests"), "5");
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-requests"), "4");
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-tokens"), "500");
  permit->ChargeTokens(450, kStart);
  headers.clear();
  // Of another key of the tenant, which has used nothing itself.
  ASSERT_TRUE(admission.Admit(Key("b", "ke"), kStart, headers));
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-tokens"), "50");
  permit->ChargeTokens(100, kStart);
  headers.clear();
  const auto refused = admission.Admit(Key("b", "ke"), kStart, headers);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("500 tokens per minute"));
  EXPECT_EQ(refused.error().reason, "RATE_LIMIT_EXCEEDED");
  EXPECT_GT(*refused.error().retry_after, seconds(5));
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-tokens"), "0");
}

TEST(Admission, PlacesAreGivenBackAtBothLevels) {
  Admission admission({.key = {.concurrency = 2}, .tenant = {.concurrency = 3}}, kNone, std::nullopt);
  http::Headers headers;
  std::vector<Admission::Permit> running;
  for (const char* kid : {"a", "a", "b"}) {
    auto permit = admission.Admit(Key(kid, "ke"), kStart, headers);
    ASSERT_TRUE(permit);
    running.push_back(*std::move(permit));
  }
  EXPECT_THAT(Ask(admission, Key("a", "ke")), HasSubstr("this key has 2 requests running"));
  EXPECT_THAT(Ask(admission, Key("b", "ke")), HasSubstr("3 requests running"));
  running.clear();
  EXPECT_EQ(Ask(admission, Key("a", "ke")), "");
  // What the tenant refused left the key's place free.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(admission, Key("b", "ke")), "");
}

// ke-a-x, below ke-a, below ke.
void Place(LimitTable& table, std::int64_t of_ke) {
  tenancy::v1::WatchApiKeysResponse message;
  auto& ke = *message.add_tenant_limits();
  ke.set_tenant("tenants/ke");
  ke.mutable_limits()->set_requests_per_minute(of_ke);
  auto& below = *message.add_tenant_limits();
  below.set_tenant("tenants/ke-a-x");
  below.add_above("tenants/ke");
  below.add_above("tenants/ke-a");
  table.Apply(message);
}

TEST(Admission, WhatIsBelowATenantCountsAgainstItsLimitsToo) {
  LimitTable table;
  Place(table, 4);
  Admission admission({.key = {}, .tenant = {.requests_per_minute = 100}}, table, std::nullopt);
  EXPECT_EQ(Ask(admission, Key("a", "ke")), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(admission, Key("b", "ke-a-x")), "");
  EXPECT_THAT(Ask(admission, Key("b", "ke-a-x")), HasSubstr("a tenant above this one"));
  EXPECT_THAT(Ask(admission, Key("a", "ke")), HasSubstr("this tenant")) << "of one bucket";
  EXPECT_EQ(Ask(admission, Key("c", "ke-b")), "") << "what is not below it is not counted";
}

TEST(Admission, WhatIsAboveHasTheConfiguredLimitWhereItHasNone) {
  LimitTable table;
  Place(table, 0);
  Admission admission({.key = {}, .tenant = {.requests_per_minute = 5}}, table, std::nullopt);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Ask(admission, Key("a", "ke")), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(admission, Key("b", "ke-a-x")), "");
  EXPECT_THAT(Ask(admission, Key("b", "ke-a-x")), HasSubstr("a tenant above this one"));
}

constexpr char kModel[] = "tenants/ke/projects/p/instances/a";

class AdmissionLevels : public testing::Test {
 protected:
  // Of tenant ke, as tenancy pushes them.
  void Push(const std::function<void(tenancy::v1::TenantLimits&, tenancy::v1::ProjectLimits&)>& fill) {
    tenancy::v1::WatchApiKeysResponse message;
    auto& limits = *message.add_tenant_limits();
    limits.set_tenant("tenants/ke");
    auto& project = *limits.add_projects();
    project.set_project("tenants/ke/projects/p");
    fill(limits, project);
    message.set_synced(true);
    table_.Apply(message);
  }
  // How many of so many requests for the model are let in.
  int Admitted(int asked, const Principal& principal = Key("k", "ke")) {
    int out = 0;
    for (int i = 0; i < asked; ++i) {
      headers_.clear();
      auto permit = admission_.Admit(principal, kStart, headers_);
      if (!permit) {
        message_ = permit.error().message;
        continue;
      }
      const Status to_model = admission_.AdmitTo(kModel, principal, kStart, *permit, headers_);
      if (!to_model) message_ = to_model.error().message;
      if (to_model) ++out;
    }
    return out;
  }

  LimitTable table_;
  Admission admission_{
      {.key = {.requests_per_minute = 1000}, .tenant = {.requests_per_minute = 500}}, table_, std::nullopt};
  http::Headers headers_;
  std::string message_;
};

TEST_F(AdmissionLevels, ARequestIsHeldAgainstAllThatApply) {
  Push([](auto& tenant, auto& project) {
    tenant.mutable_limits()->set_requests_per_minute(30);
    project.mutable_limits()->set_requests_per_minute(20);
    auto& model = *project.add_instances();
    model.set_instance(kModel);
    model.mutable_limits()->set_requests_per_minute(10);
  });
  EXPECT_EQ(Admitted(15), 10);
  EXPECT_THAT(message_, HasSubstr("this model"));
  EXPECT_EQ(Find(headers_, "x-ratelimit-limit-requests"), "10") << "of the one that refused";
  EXPECT_EQ(Find(headers_, "x-ratelimit-remaining-requests"), "0");
  // What the model's refused was given back to project and tenant.
  int others = 0;
  while (Ask(admission_, Key("other", "ke")).empty()) ++others;
  EXPECT_EQ(others, 10);
  EXPECT_THAT(Ask(admission_, Key("other", "ke")), HasSubstr("this project"));
  Principal elsewhere = Key("q", "ke");
  elsewhere.project = "tenants/ke/projects/q";
  int in_tenant = 0;
  while (Ask(admission_, elsewhere).empty()) ++in_tenant;
  EXPECT_EQ(in_tenant, 10);
  EXPECT_THAT(Ask(admission_, elsewhere), HasSubstr("this tenant"));
  EXPECT_EQ(Ask(admission_, Key("k", "tz")), "");
}

TEST_F(AdmissionLevels, HeadersTellOfTheOneThatLeavesLeast) {
  Push([](auto& tenant, auto& project) {
    tenant.mutable_limits()->set_requests_per_minute(30);
    project.mutable_limits()->set_requests_per_minute(20);
    auto& model = *project.add_instances();
    model.set_instance(kModel);
    model.mutable_limits()->set_requests_per_minute(10);
  });
  EXPECT_EQ(Admitted(1), 1);
  EXPECT_EQ(Find(headers_, "x-ratelimit-limit-requests"), "10");
  EXPECT_EQ(Find(headers_, "x-ratelimit-remaining-requests"), "9");
  http::Headers headers;
  ASSERT_TRUE(admission_.Admit(Key("k", "ke"), kStart, headers));
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-requests"), "20");
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-requests"), "18");
}

TEST_F(AdmissionLevels, AKeysOwnOnlyNarrowAndATenantsOwnTakeThePlaceOfTheUsualOnes) {
  Principal key = Key("k", "ke");
  key.limits.requests_per_minute = 5;
  EXPECT_EQ(Admitted(20, key), 5);
  EXPECT_THAT(message_, HasSubstr("this key has used its 5 requests"));
  Push([](auto& tenant, auto&) { tenant.mutable_limits()->set_requests_per_minute(800); });
  key = Key("wide", "ke");
  key.limits.requests_per_minute = 100'000;
  EXPECT_EQ(Admitted(2000, key), 792) << "a hundredth is used; and a key has never more than 1000";
}

TEST_F(AdmissionLevels, OneInShadowCountsAndLetsPass) {
  Push([](auto& tenant, auto& project) {
    tenant.mutable_limits()->set_requests_per_minute(3);
    tenant.mutable_limits()->set_shadow(true);
    project.mutable_limits()->set_concurrency(1);
    project.mutable_limits()->set_shadow(true);
  });
  EXPECT_EQ(Admitted(600), 500) << "the usual one of the tenant holds";
  EXPECT_THAT(message_, HasSubstr("500 requests per minute"));
  EXPECT_EQ(Find(headers_, "x-ratelimit-limit-requests"), "500") << "headers do not tell of it";
}

TEST_F(AdmissionLevels, ChangesApplyToTheNextRequestAndKeepWhatIsUsed) {
  Push([](auto&, auto& project) { project.mutable_limits()->set_requests_per_minute(100); });
  EXPECT_EQ(Admitted(50), 50);
  Push([](auto&, auto& project) { project.mutable_limits()->set_requests_per_minute(10); });
  EXPECT_EQ(Admitted(50), 5) << "half of it is used";
  Push([](auto&, auto&) {});
  EXPECT_EQ(Admitted(50), 50);
}

TEST_F(AdmissionLevels, TokensAreChargedEverywhere) {
  Push([](auto& tenant, auto& project) {
    tenant.mutable_limits()->set_tokens_per_minute(1000);
    auto& model = *project.add_instances();
    model.set_instance(kModel);
    model.mutable_limits()->set_tokens_per_minute(100);
  });
  const Principal key = Key("k", "ke");
  auto permit = admission_.Admit(key, kStart, headers_);
  ASSERT_TRUE(permit);
  ASSERT_TRUE(admission_.AdmitTo(kModel, key, kStart, *permit, headers_));
  EXPECT_EQ(Find(headers_, "x-ratelimit-limit-tokens"), "100");
  permit->ChargeTokens(120, kStart);
  EXPECT_EQ(Admitted(1), 0);
  EXPECT_THAT(message_, HasSubstr("this model"));
  http::Headers headers;
  ASSERT_TRUE(admission_.Admit(Key("other", "ke"), kStart, headers)) << "for another model";
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-tokens"), "880");
}

}  // namespace
}  // namespace allod::gateway::access::admission_test
