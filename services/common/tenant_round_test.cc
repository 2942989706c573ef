#include "services/common/tenant_round.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "tests/support/fake_clock.h"

namespace allod::tenant_round_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

struct Item {
  TenantId tenant;
  std::string name;
};

// Four tenants in pages of two.
class TenantRoundTest : public testing::Test {
 protected:
  TenantRoundTest() {
    for (const char* name : {"tenants/a", "tenants/b", "tenants/c", "tenants/d"}) {
      items_.push_back({*TenantId::FromName(name), name});
    }
    std::ranges::sort(items_, {}, &Item::tenant);
    for (std::size_t i = 0; i < items_.size(); ++i) items_[i].name = std::to_string(i);
  }

  // Who was worked on.
  std::vector<std::string> Go() {
    worked_.clear();
    outcome_ = GoRound(set_aside_, clock_,
                       TenantRound<Item>{.stage = "count",
                                         .page_size = 2,
                                         .find = [&](const auto& after) { return Page(after); },
                                         .work = [&](const Item& item) { return Work(item); },
                                         .stop = stop_.get_token(),
                                         .ends = [](const Error& error) { return error.reason == "PEER_AWAY"; },
                                         .has_room = [&] { return worked_.size() < room_; }});
    return worked_;
  }
  int Failures(std::size_t i) const { return set_aside_.Failures(items_[i].tenant, "count"); }

  std::vector<Item> items_;
  std::map<std::string, Error> errors_;  // by name
  std::string throws_;
  std::size_t room_ = 100;
  std::stop_source stop_;
  FakeClock clock_;
  SetAside set_aside_{"test"};
  Status outcome_;

 private:
  Result<std::vector<Item>> Page(const std::optional<TenantId>& after) const {
    std::vector<Item> out;
    for (const Item& item : items_) {
      if ((!after || item.tenant > *after) && out.size() < 2) out.push_back(item);
    }
    return out;
  }
  Status Work(const Item& item) {
    worked_.push_back(item.name);
    if (item.name == throws_) throw std::runtime_error("broken");
    if (const auto found = errors_.find(item.name); found != errors_.end()) return std::unexpected(found->second);
    return {};
  }

  std::vector<std::string> worked_;
};

TEST_F(TenantRoundTest, GoesOverAllPages) {
  EXPECT_THAT(Go(), ElementsAre("0", "1", "2", "3"));
  EXPECT_TRUE(outcome_);
}

TEST_F(TenantRoundTest, SetsAsideWhoFailsOrThrowsAndGoesOn) {
  errors_["1"] = {Code::kInternal, "INTERNAL", "broken"};
  throws_ = "2";
  EXPECT_THAT(Go(), ElementsAre("0", "1", "2", "3"));
  EXPECT_TRUE(outcome_);
  EXPECT_THAT(Go(), ElementsAre("0", "3")) << "they wait";
  EXPECT_EQ(Failures(1), 1);
  clock_.Advance(1s);
  errors_.clear();
  throws_ = "";
  EXPECT_THAT(Go(), ElementsAre("0", "1", "2", "3"));
  EXPECT_EQ(Failures(1), 0);
  EXPECT_EQ(Failures(2), 0);
}

TEST_F(TenantRoundTest, ForgetsTheTroubleOfWhoHasNothingToDoAnyMore) {
  errors_["1"] = {Code::kInternal, "INTERNAL", "broken"};
  Go();
  set_aside_.Fail(items_[1].tenant, "another stage", errors_["1"], clock_.Now());
  const TenantId gone = items_[1].tenant;
  items_.erase(items_.begin() + 1);
  Go();
  EXPECT_EQ(set_aside_.Failures(gone, "count"), 0);
  EXPECT_EQ(set_aside_.Failures(gone, "another stage"), 1) << "of which this round knows nothing";
}

TEST_F(TenantRoundTest, EndsWithWhatConcernsEverybodyAndBlamesNobody) {
  for (const Error& error : {Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", ""},
                             Error{Code::kFailedPrecondition, "PEER_AWAY", "of this round's own"}}) {
    errors_["1"] = error;
    EXPECT_THAT(Go(), ElementsAre("0", "1"));
    ASSERT_FALSE(outcome_);
    EXPECT_EQ(outcome_.error().reason, error.reason);
    EXPECT_EQ(Failures(1), 0);
  }
}

TEST_F(TenantRoundTest, WhatItDoesNotComeToStaysAsItWas) {
  errors_["3"] = {Code::kInternal, "INTERNAL", "broken"};
  Go();
  room_ = 2;
  EXPECT_THAT(Go(), ElementsAre("0", "1"));
  EXPECT_EQ(Failures(3), 1);
  stop_.request_stop();
  EXPECT_THAT(Go(), IsEmpty());
  EXPECT_TRUE(outcome_);
  EXPECT_EQ(Failures(3), 1);
}

}  // namespace
}  // namespace allod::tenant_round_test
