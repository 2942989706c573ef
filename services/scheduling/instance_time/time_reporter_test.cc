#include "services/scheduling/instance_time/time_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/fake_clock.h"

namespace allod::scheduling::instance_time::time_reporter_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// The rows of some tenants, as the test sets them.
class Rows final : public IntervalStore {
 public:
  Result<std::vector<NamedTenant>> ListDue(const std::optional<TenantId>& after, int) override {
    std::vector<NamedTenant> out;
    for (const auto& [tenant, intervals] : due) {
      if (!intervals.empty() && (!after || *after < tenant)) out.push_back({tenant, names.at(tenant)});
    }
    return out;
  }
  Result<std::vector<TimeInterval>> LoadDue(const TenantId& tenant, int limit) override {
    auto out = due[tenant];
    if (std::ssize(out) > limit) out.resize(static_cast<std::size_t>(limit));
    return out;
  }
  Status MarkTold(const TenantId& tenant, const std::vector<TimeInterval>& intervals) override {
    if (dies_before_mark) return Fail(Code::kUnavailable, "DATABASE_UNAVAILABLE", "away");
    Drop(tenant, intervals);
    return {};
  }
  Status Postpone(const TenantId& tenant, const std::vector<TimeInterval>& intervals) override {
    postponed += static_cast<int>(intervals.size());
    Drop(tenant, intervals);
    return {};
  }
  Result<std::vector<std::string>> StopForCredit(const TenantId& tenant,
                                                 const std::vector<std::string>& instances) override {
    stopped_for_credit[tenant].insert(stopped_for_credit[tenant].end(), instances.begin(), instances.end());
    return instances;
  }
  Result<std::vector<std::string>> Resume(const TenantId& tenant) override {
    auto out = stopped_for_credit[tenant];
    stopped_for_credit.erase(tenant);
    return out;
  }
  Result<std::vector<NamedTenant>> ListStoppedForCredit(const std::optional<TenantId>& after, int) override {
    std::vector<NamedTenant> out;
    for (const auto& [tenant, instances] : stopped_for_credit) {
      if (!after || *after < tenant) out.push_back({tenant, names.at(tenant)});
    }
    return out;
  }

  TenantId Add(const std::string& tenant, const std::string& instance, bool ended = false) {
    const TenantId id = *TenantId::FromName("tenants/" + tenant);
    names[id] = "tenants/" + tenant;
    due[id].push_back(
        {.replica = Uuid::V7(), .ended = ended, .instance = names[id] + "/projects/p/instances/" + instance});
    return id;
  }

  std::map<TenantId, std::string> names;
  std::map<TenantId, std::vector<TimeInterval>> due;
  std::map<TenantId, std::vector<std::string>> stopped_for_credit;
  int postponed = 0;
  bool dies_before_mark = false;

 private:
  void Drop(const TenantId& tenant, const std::vector<TimeInterval>& intervals) {
    for (const TimeInterval& told : intervals) {
      std::erase_if(due[tenant], [&](const TimeInterval& row) { return row.replica == told.replica; });
    }
  }
};

class Billing final : public TimeSink {
 public:
  Result<Answer> Record(const std::string& tenant, const std::vector<TimeInterval>& intervals) override {
    if (away) return Fail(Code::kUnavailable, "RPC_FAILED", "away");
    if (broken == tenant) return FailedPrecondition("NO_BILLING_ACCOUNT", "none");
    if (!intervals.empty()) told.push_back(tenant);
    Answer answer{.credit_used_up = poor.contains(tenant)};
    for (const TimeInterval& interval : intervals) {
      Answer::One& one = answer.intervals.emplace_back();
      one.costs = !interval.instance.ends_with("/free");
      if (interval.instance.ends_with("/odd")) one.refused = Error{Code::kFailedPrecondition, "INTERVAL_REUSED", "odd"};
    }
    return answer;
  }
  std::vector<std::string> told;
  std::set<std::string> poor;
  std::string broken;
  bool away = false;
};

class TimeReporterTest : public testing::Test {
 protected:
  Rows rows_;
  Billing billing_;
  FakeClock clock_;
  std::vector<std::string> changed_;
  TimeReporter reporter_{rows_, billing_, clock_,
                         [this](const TenantId&, const std::string& instance) { changed_.push_back(instance); }};
};

TEST_F(TimeReporterTest, TellsWhatIsDueOnce) {
  rows_.Add("ke", "i");
  rows_.Add("ke", "j", true);
  EXPECT_EQ(reporter_.RunOnce().value(), 2);
  EXPECT_EQ(reporter_.RunOnce().value(), 0);
  EXPECT_THAT(billing_.told, ElementsAre("tenants/ke"));
}

TEST_F(TimeReporterTest, WhatWasNotNotedIsToldAgain) {
  rows_.Add("ke", "i");
  rows_.dies_before_mark = true;
  EXPECT_FALSE(reporter_.RunOnce());
  rows_.dies_before_mark = false;
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
  EXPECT_THAT(billing_.told, ElementsAre("tenants/ke", "tenants/ke"));
}

TEST_F(TimeReporterTest, OneTenantsTroubleIsNobodyElses) {
  rows_.Add("ke", "i");
  rows_.Add("tz", "i");
  billing_.broken = "tenants/ke";
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
  EXPECT_EQ(reporter_.RunOnce().value(), 0);
  billing_.broken.clear();
  clock_.Advance(2min);
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
}

TEST_F(TimeReporterTest, BillingThatIsAwayEndsTheRound) {
  rows_.Add("ke", "i");
  billing_.away = true;
  EXPECT_EQ(reporter_.RunOnce().error().code, Code::kUnavailable);
  billing_.away = false;
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
}

TEST_F(TimeReporterTest, WhatIsRefusedComesLaterAndKeepsNothingElse) {
  rows_.Add("ke", "odd");
  rows_.Add("ke", "i");
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
  EXPECT_EQ(rows_.postponed, 1);
}

TEST_F(TimeReporterTest, WhatSleptBeforeItWasToldStopsToo) {
  const TenantId ke = rows_.Add("ke", "asleep", true);
  rows_.Add("ke", "free", true);
  billing_.poor = {"tenants/ke"};
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_THAT(rows_.stopped_for_credit[ke], ElementsAre("tenants/ke/projects/p/instances/asleep"));
}

TEST_F(TimeReporterTest, StopsWhatCostsWhenTheCreditEndsAndLetsItGoOn) {
  const TenantId ke = rows_.Add("ke", "i");
  rows_.Add("ke", "free");
  rows_.Add("tz", "i");
  billing_.poor = {"tenants/ke"};
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_THAT(rows_.stopped_for_credit[ke], ElementsAre("tenants/ke/projects/p/instances/i"));
  EXPECT_THAT(changed_, ElementsAre("tenants/ke/projects/p/instances/i"));
  changed_.clear();
  clock_.Advance(2min);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_THAT(changed_, IsEmpty()) << "there is no credit yet";
  billing_.poor.clear();
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_THAT(changed_, IsEmpty()) << "it is asked once a minute";
  clock_.Advance(2min);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_THAT(changed_, ElementsAre("tenants/ke/projects/p/instances/i"));
  EXPECT_FALSE(rows_.stopped_for_credit.contains(ke));
}

}  // namespace
}  // namespace allod::scheduling::instance_time::time_reporter_test
