// The scheduler is killed at each of its fault points while instances are made: each is there once, each operation
// ends, and gateways have the routes again.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <thread>

#include "services/common/ids.h"
#include "tests/integration/all_methods.h"
#include "tests/integration/belongings.h"
#include "tests/integration/gateway_http_client.h"
#include "tests/integration/programs_fixture.h"
#include "tests/support/fault_board.h"

namespace allod::scheduling_crash_test {
namespace {

using enum FaultPoint;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kPatience{30};
constexpr char kProject[] = "tenants/ke/projects/nyumba";

class SchedulingCrash : public testing::Test {
 protected:
  void SetUp() override {
    MakeTenant(methods_, "ke");
    methods_.Must("tenancy.CreateProject",
                  {{"parent", "tenants/ke"}, {"projectId", "nyumba"}, {"project", {{"displayName", "Nyumba"}}}});
  }
  // The same call until it is answered; whoever is dead is started.
  void MakeInstance(const std::string& id) {
    const json request = {
        {"parent", kProject},
        {"instanceId", id},
        {"requestId", Uuid::V7().ToString()},
        {"instance",
         {{"spec", {{"listing", Programs::kListing}, {"variant", Programs::kVariant}, {"region", "regions/ke-1"}}}}}};
    const auto end = steady_clock::now() + kPatience;
    while (true) {
      StartIfDead();
      try {
        methods_.Must("scheduling.CreateInstance", request);
        return;
      } catch (const std::runtime_error& e) {
        if (steady_clock::now() > end) FAIL() << e.what();
        std::this_thread::sleep_for(milliseconds(10));
      }
    }
  }
  void StartIfDead() {
    while (!programs_.IsRunning("scheduling")) {
      try {
        programs_.KillAndStartAgain("scheduling");
      } catch (const std::runtime_error&) {
        // killed as it started
      }
    }
  }
  // Whatever dies meanwhile is started again.
  bool Await(const std::function<bool()>& holds) {
    const auto end = steady_clock::now() + kPatience;
    while (steady_clock::now() < end) {
      StartIfDead();
      if (holds()) return true;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
  }
  std::int64_t Count(const std::string& sql) {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::nontransaction session(connection);
    return session.exec("SELECT count(*) FROM " + sql)[0][0].as<std::int64_t>();
  }

  FaultBoard board_;
  Programs programs_{{{"scheduling", board_.environment()}}};
  AllMethods methods_{programs_};
};

TEST_F(SchedulingCrash, EachInstanceIsMadeOnceAndGatewaysHaveTheRoutes) {
  std::int64_t made = 0;
  for (const FaultPoint point : {kInstanceWritten, kPlanWritten, kRoutesPushing, kRoutesPushed, kRoutesAcknowledged}) {
    SCOPED_TRACE(kFaultPoints[static_cast<std::size_t>(point)].name);
    const std::uint64_t before = board_.fired(point);
    board_.Arm(point, FaultAction::kKill);
    for (int round = 0; round < 10 && board_.fired(point) == before; ++round) {
      MakeInstance("crash-" + std::to_string(made++));
      // What follows from it comes by itself.
      for (int i = 0; i < 50 && board_.fired(point) == before; ++i) std::this_thread::sleep_for(milliseconds(20));
    }
    EXPECT_EQ(board_.fired(point), before + 1) << "it was not passed";
    board_.Disarm(point);
    EXPECT_TRUE(Await([&] { return gateway::Fetch(programs_.gateway_port(), "GET", "/readyz", "").status == 200; }));
  }
  EXPECT_EQ(Count("scheduling.instances"), made);
  EXPECT_EQ(Count("scheduling.operations WHERE kind = 'create'"), made);
}

}  // namespace
}  // namespace allod::scheduling_crash_test
