#include "gateway/telemetry/instance_metrics.h"

#include <gmock/gmock.h>

#include <optional>

#include "services/common/metrics.h"

namespace allod::gateway::telemetry::instance_metrics_test {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr InstanceMetricsBook::Time kStart{std::chrono::hours(1000)};

std::string Name(int number) { return "tenants/ke/projects/p/instances/m" + std::to_string(number); }
std::string LabelOf(int number) { return "gen_ai_request_model=\"" + Name(number) + "\""; }

TEST(InstanceMetricsBook, ADeletedInstanceLeavesThePageWithItsLastRequest) {
  InstanceMetricsBook book;
  std::optional<InstanceMetrics> running(book.Of(Name(1), kStart));
  running->FinishRequest("chat", "OUTCOME_COMPLETED", 1ms);
  running->ObserveFirstToken(1ms);
  book.Forget(Name(1));
  EXPECT_THAT(MetricsText(), HasSubstr(LabelOf(1))) << "its request runs";
  running->AddWaiting(-1);
  running.reset();
  (void)book.Of(Name(2), kStart);
  EXPECT_THAT(MetricsText(), Not(HasSubstr(LabelOf(1))));
  EXPECT_EQ(book.named(), 1U);
}

TEST(InstanceMetricsBook, AnInstanceOfTheSameNameIsNotForgottenWithTheOldOne) {
  InstanceMetricsBook book;
  std::optional<InstanceMetrics> old(book.Of(Name(3), kStart));
  book.Forget(Name(3));
  InstanceMetrics again = book.Of(Name(3), kStart);
  old.reset();
  (void)book.Of(Name(4), kStart);
  again.CountTokens(5, 0, 7);
  EXPECT_THAT(MetricsText(), HasSubstr(LabelOf(3)));
}

TEST(InstanceMetricsBook, OneThatIsNotAskedOfMakesWayForOneThatIs) {
  InstanceMetricsBook book;
  const auto full = static_cast<int>(InstanceMetricsBook::kNamedMax);
  for (int i = 0; i < full; ++i)
    EXPECT_EQ(book.Of(Name(100 + i), kStart + std::chrono::seconds(i)).label(), Name(100 + i));
  EXPECT_EQ(book.Of(Name(1000), kStart + 300s).label(), "other") << "all were asked of a moment ago";
  const auto later = kStart + InstanceMetricsBook::kIdle + 1s;
  EXPECT_EQ(book.Of(Name(1000), later).label(), Name(1000));
  EXPECT_EQ(book.named(), InstanceMetricsBook::kNamedMax);
  EXPECT_THAT(MetricsText(), Not(HasSubstr(LabelOf(100)))) << "the one that was idle longest";
  EXPECT_THAT(MetricsText(), HasSubstr(LabelOf(101)));
}

TEST(InstanceMetricsBook, NeverTakesTheSeriesOfARequestThatRuns) {
  InstanceMetricsBook book;
  std::vector<InstanceMetrics> running;
  for (int i = 0; i < static_cast<int>(InstanceMetricsBook::kNamedMax); ++i)
    running.push_back(book.Of(Name(2000 + i), kStart));
  EXPECT_EQ(book.Of(Name(3000), kStart + 24h).label(), "other");
  running.erase(running.begin());
  EXPECT_EQ(book.Of(Name(3000), kStart + 24h).label(), Name(3000));
}

TEST(InstanceMetricsBook, SaysHowMuchIsFoldedIntoOther) {
  InstanceMetricsBook book;
  for (int i = 0; i < static_cast<int>(InstanceMetricsBook::kNamedMax); ++i) (void)book.Of(Name(4000 + i), kStart);
  const auto folded = [] {
    const std::string page = MetricsText();
    const std::string name = "\nallod_gateway_requests_folded_total ";
    return std::stoi(page.substr(page.find(name) + name.size()));
  };
  const int before = folded();
  (void)book.Of(Name(5000), kStart);
  EXPECT_EQ(folded(), before + 1);
}

}  // namespace
}  // namespace allod::gateway::telemetry::instance_metrics_test
