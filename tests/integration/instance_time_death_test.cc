// Scheduling and billing are killed at any moment while replicas come and go: every second of a replica that answered
// is counted and owed, and none twice.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <mutex>
#include <pqxx/pqxx>
#include <random>
#include <thread>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "tests/integration/belongings.h"

namespace allod::instance_time_death_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr int kRounds = 14;
constexpr int kInstances = 6;

// A node whose workers answer, sleep or fail as chance has it, and which joins again when scheduling is back.
class Node {
 public:
  explicit Node(std::shared_ptr<grpc::Channel> channel)
      : stub_(scheduling::v1::NodeAgentService::NewStub(std::move(channel))),
        watcher_([this](const std::stop_token& stop) { Watch(stop); }),
        reporter_([this](const std::stop_token& stop) { Report(stop); }) {}
  ~Node() {
    watcher_.request_stop();
    reporter_.request_stop();
    const std::lock_guard lock(mutex_);
    if (context_) context_->TryCancel();
  }
  int reports() const { return reports_; }

 private:
  void Watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      scheduling::v1::WatchAssignmentsRequest request;
      request.set_node("nodes/n");
      request.set_region("regions/ke-1");
      request.set_jurisdiction("ke");
      request.mutable_capacity()->set_memory_bytes(std::int64_t{1} << 36);
      request.mutable_capacity()->set_cpu_millis(64'000);
      std::unique_ptr<grpc::ClientReader<scheduling::v1::WatchAssignmentsResponse>> reader;
      {
        const std::lock_guard lock(mutex_);
        if (stop.stop_requested()) return;
        context_ = MakeStreamContext(Caller::Node("n"));
        reader = stub_->WatchAssignments(context_.get(), request);
      }
      scheduling::v1::WatchAssignmentsResponse set;
      while (reader->Read(&set)) {
        const std::lock_guard lock(mutex_);
        assigned_ = set;
      }
      (void)reader->Finish();
      std::this_thread::sleep_for(20ms);
    }
  }
  void Report(const std::stop_token& stop) {
    std::minstd_rand random(3);
    using Worker = scheduling::v1::WorkerReport;
    while (!stop.stop_requested()) {
      scheduling::v1::ReportWorkersRequest report;
      report.set_node("nodes/n");
      {
        const std::lock_guard lock(mutex_);
        for (const auto& assignment : assigned_.assignments()) {
          Worker& worker = *report.add_workers();
          worker.set_replica_uid(assignment.replica_uid());
          worker.set_epoch(assignment.epoch());
          worker.set_target("unix:/w/" + assignment.replica_uid());
          const auto dice = random() % 10;
          worker.set_state(dice < 7 ? Worker::STATE_READY : dice < 9 ? Worker::STATE_ASLEEP : Worker::STATE_FAILED);
        }
      }
      const auto told = CallUnary(*stub_, &scheduling::v1::NodeAgentService::Stub::ReportWorkers, report,
                                  Caller::Node("n"), std::chrono::milliseconds(500));
      if (told) ++reports_;
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 1500));
    }
  }

  const std::unique_ptr<scheduling::v1::NodeAgentService::Stub> stub_;
  std::mutex mutex_;
  std::unique_ptr<grpc::ClientContext> context_;
  scheduling::v1::WatchAssignmentsResponse assigned_;
  std::atomic<int> reports_ = 0;
  std::jthread watcher_, reporter_;  // last: they use all of it
};

class InstanceTimeDeath : public testing::Test {
 protected:
  InstanceTimeDeath() {
    MakeTenant(methods_, "ke");
    methods_.Must("tenancy.CreateProject",
                  {{"parent", "tenants/ke"}, {"projectId", "p"}, {"project", {{"displayName", "Project"}}}});
    // What scheduling noted of a replica's time is kept when it forgets that.
    Sql("CREATE TABLE scheduling.noted AS SELECT replica_id, start_time, end_time FROM scheduling.instance_intervals");
    Sql("CREATE FUNCTION scheduling.keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "INSERT INTO scheduling.noted VALUES (OLD.replica_id, OLD.start_time, OLD.end_time); RETURN NULL; END $$");
    Sql("CREATE TRIGGER keep AFTER DELETE ON scheduling.instance_intervals FOR EACH ROW EXECUTE FUNCTION "
        "scheduling.keep()");
  }
  void Sql(const std::string& sql) const {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::nontransaction session(connection);
    session.exec(sql);
  }
  std::int64_t Ask(const std::string& sql) const {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::nontransaction session(connection);
    return session.exec1(sql)[0].as<std::int64_t>();
  }
  // An hour is too long to wait: what goes on is due now.
  void MakeDue() const { Sql("UPDATE scheduling.instance_intervals SET due_time = now()"); }

  Programs programs_;
  AllMethods methods_{programs_};
};

TEST_F(InstanceTimeDeath, EverySecondIsCountedOnceWhoeverDies) {
  std::minstd_rand random(11);
  auto node = std::make_unique<Node>(programs_.ChannelTo("scheduling"));
  for (int i = 0; i < kInstances; ++i) {
    methods_.Must(
        "scheduling.CreateInstance",
        {{"parent", "tenants/ke/projects/p"},
         {"instanceId", fmt::format("i{}", i)},
         {"instance",
          {{"spec", {{"listing", Programs::kListing}, {"variant", Programs::kVariant}, {"region", "regions/ke-1"}}}}}});
  }
  for (int round = 0; round < kRounds; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 1500));
    MakeDue();
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
    programs_.KillAndStartAgain(round % 3 == 2 ? "billing" : "scheduling");
  }
  // A channel of before a death waits before it tries again.
  for (const char* area : {"scheduling", "billing"}) {
    ASSERT_TRUE(programs_.ChannelTo(area)->WaitForConnected(std::chrono::system_clock::now() + 30s)) << area;
  }
  for (int i = 0; i < kInstances; ++i) {
    methods_.Must("scheduling.DeleteInstance", {{"name", fmt::format("tenants/ke/projects/p/instances/i{}", i)}});
  }
  // Deleted, and told of all of it.
  for (int i = 0; i < 600; ++i) {
    if (Ask("SELECT (SELECT count(*) FROM scheduling.instances) + (SELECT count(*) FROM "
            "scheduling.instance_intervals)") == 0)
      break;
    std::this_thread::sleep_for(100ms);
  }
  const int reports = node->reports();
  node.reset();
  EXPECT_EQ(Ask("SELECT count(*) FROM scheduling.instances"), 0);
  EXPECT_EQ(Ask("SELECT count(*) FROM scheduling.instance_intervals"), 0) << "billing knows all of it";
  const std::string seconds = "sum(floor(extract(epoch FROM n.end_time - n.start_time)))::bigint";
  EXPECT_EQ(Ask("SELECT count(*) FROM (SELECT replica_id, start_time FROM scheduling.noted GROUP BY 1, 2 HAVING "
                "count(*) > 1) d"),
            0);
  EXPECT_EQ(Ask("SELECT count(*) FROM scheduling.noted a JOIN scheduling.noted b ON a.replica_id = b.replica_id AND "
                "a.start_time < "
                "b.start_time AND b.start_time < a.end_time"),
            0)
      << "no time of a replica is in two intervals";
  EXPECT_EQ(Ask("SELECT count(*) FROM (SELECT n.replica_id, n.start_time, " + seconds +
                " AS noted FROM scheduling.noted n GROUP BY 1, 2) n FULL JOIN (SELECT replica_id, start_time, "
                "sum(seconds)::bigint AS "
                "counted FROM billing.instance_time_entries GROUP BY 1, 2) e USING (replica_id, start_time) "
                "WHERE coalesce(noted, 0) <> coalesce(counted, 0)"),
            0)
      << "billing counted what scheduling noted";
  const std::int64_t counted = Ask("SELECT coalesce(sum(seconds), 0)::bigint FROM billing.instance_time_entries");
  EXPECT_GT(counted, 0);
  EXPECT_EQ(Ask("SELECT coalesce(sum(amount), 0)::bigint FROM billing.transfers WHERE kind = 'instance_time'"),
            counted * 250'000'000)
      << "at 0.9 an hour";
  const json ledger = methods_.Must("billing.CheckLedger", json::object());
  EXPECT_FALSE(ledger.contains("mismatchedAccounts") && !ledger.at("mismatchedAccounts").empty()) << ledger.dump();
  for (const json& sum : ledger.at("sums")) EXPECT_EQ(sum.at("amount"), "0");
  std::cout << fmt::format("{} kills, {} reports of the node: {} intervals, {} seconds, each once\n", kRounds, reports,
                           Ask("SELECT count(*) FROM scheduling.noted"), counted);
}

}  // namespace
}  // namespace allod::instance_time_death_test
