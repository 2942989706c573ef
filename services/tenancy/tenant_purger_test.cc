#include "services/tenancy/tenant_purger.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "tests/support/fake_clock.h"

namespace allod::tenancy::tenant_purger_test {
namespace {

using namespace std::chrono_literals;

// Tenants as numbers of rows.
class Rows final : public PurgeStore {
 public:
  struct Tenant {
    TenantState state = TenantState::kDeleting;
    std::int64_t rows = 0;
    Time purge_time;
    std::optional<Error> trouble;
  };

  Result<std::vector<std::string>> DueForPurge(Time now, const std::string& after, int limit) override {
    ++looks;
    if (failure) return std::unexpected(*failure);
    std::vector<std::string> out;
    for (const auto& [id, tenant] : tenants) {
      const bool is_due = tenant.state != TenantState::kActive && tenant.state != TenantState::kDeleted;
      if (is_due && tenant.purge_time <= now && id > after && std::ssize(out) < limit) out.push_back(id);
    }
    return out;
  }
  Result<PurgeStep> Purge(const std::string& id, Time now, int batch) override {
    ++steps;
    Tenant& tenant = tenants.at(id);
    if (tenant.trouble) return std::unexpected(*tenant.trouble);
    if (on_step) on_step(id);
    PurgeStep out{tenant.state};
    if (tenant.state == TenantState::kDeleting && tenant.purge_time <= now) {
      out = {TenantState::kPurging, 0, true};
    } else if (tenant.state == TenantState::kPurging) {
      out.removed = std::min<std::int64_t>(batch, tenant.rows);
      tenant.rows -= out.removed;
      if (out.removed == 0) out = {TenantState::kDeleted, 0, true};
    }
    tenant.state = out.state;
    return out;
  }

  std::map<std::string, Tenant> tenants;
  std::optional<Error> failure;
  std::function<void(const std::string&)> on_step;
  int looks = 0;
  int steps = 0;
};

class TenantPurgerTest : public testing::Test {
 protected:
  Rows::Tenant& Add(const std::string& id, std::int64_t rows, std::chrono::seconds grace = -1s) {
    return store_.tenants[id] = {TenantState::kDeleting, rows, clock_.Now() + grace, {}};
  }
  TenantState StateOf(const std::string& id) { return store_.tenants.at(id).state; }

  FakeClock clock_;
  Rows store_;
  int told_ = 0;
  TenantPurger purger_{store_, clock_, [this] { ++told_; }};
};

TEST_F(TenantPurgerTest, RemovesWhatIsDueAndNothingElse) {
  Add("ke", 2 * TenantPurger::kBatch + 1);
  Add("ug", 10, 1h);
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("ke"), TenantState::kDeleted);
  EXPECT_EQ(StateOf("ug"), TenantState::kDeleting);
  EXPECT_EQ(told_, 2) << "once for each new state";
  const int steps = store_.steps;
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(store_.steps, steps) << "what is gone costs nothing";
  clock_.Advance(1h);
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("ug"), TenantState::kDeleted);
}

TEST_F(TenantPurgerTest, OneThatIsBroughtBackMeanwhileStays) {
  Add("ke", 10);
  store_.on_step = [&](const std::string& id) { store_.tenants.at(id).state = TenantState::kActive; };
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("ke"), TenantState::kActive);
  EXPECT_EQ(store_.tenants.at("ke").rows, 10);
  EXPECT_EQ(told_, 0);
}

TEST_F(TenantPurgerTest, AGreatOneKeepsNoOtherWaitingAndIsFinishedLater) {
  const std::int64_t great = std::int64_t{TenantPurger::kBatch} * TenantPurger::kStepsPerRound * 2;
  Add("a", great);
  Add("b", 1);
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("a"), TenantState::kPurging);
  EXPECT_EQ(StateOf("b"), TenantState::kDeleted);
  for (int i = 0; i < 3 && StateOf("a") != TenantState::kDeleted; ++i) ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("a"), TenantState::kDeleted);
}

TEST_F(TenantPurgerTest, OnesTroubleIsNobodyElses) {
  Add("a", 1).trouble = Error{Code::kInternal, "INTERNAL", "rows that refer to each other"};
  Add("b", 1);
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("b"), TenantState::kDeleted);
  const int steps = store_.steps;
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(store_.steps, steps) << "it is left alone for a while";
  store_.tenants.at("a").trouble.reset();
  clock_.Advance(2min);
  ASSERT_TRUE(purger_.RunOnce());
  EXPECT_EQ(StateOf("a"), TenantState::kDeleted);
}

TEST_F(TenantPurgerTest, AnyNumberIsDueAtOnce) {
  for (int i = 0; i < 250; ++i) Add("t" + std::to_string(i), 1);
  ASSERT_TRUE(purger_.RunOnce());
  for (const auto& [id, tenant] : store_.tenants) EXPECT_EQ(tenant.state, TenantState::kDeleted) << id;
  EXPECT_EQ(store_.looks, 3);
  store_.failure = Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"};
  EXPECT_EQ(purger_.RunOnce().error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace allod::tenancy::tenant_purger_test
