// The real allod-node with the real allod-worker and allod-compress, against peers in this process.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "google/rpc/status.pb.h"
#include "services/common/blob_store.h"
#include "services/common/rpc/status.h"
#include "tests/integration/node_peers.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::node {
namespace {

namespace fs = std::filesystem;
using scheduling::v1::Assignment;
using scheduling::v1::WorkerReport;

constexpr char kReplica[] = "01900000-0000-7000-8000-00000000abcd";

class NodeAgentTest : public testing::Test {
 protected:
  NodeAgentTest() {
    scheduling_server_ = *Server::Start({.listen = "unix:" + (dir_ / "s.sock").string()}, {&scheduling_});
    catalog_server_ = *Server::Start({.listen = "unix:" + (dir_ / "c.sock").string()}, {&artifacts_, &jobs_});
    std::string text;
    while (text.size() < 8000) text += "The county clinic opens at eight. Bring the card of the child. ";
    config_ = {{"node", "local"},
               {"region", "ke-1"},
               {"cpu_millis", 1000},
               {"scheduling_target", "unix:" + (dir_ / "s.sock").string()},
               {"catalog_target", "unix:" + (dir_ / "c.sock").string()},
               {"artifact_dir", (dir_ / "artifacts").string()},
               {"run_dir", (dir_ / "run").string()},
               {"worker_executable", Executable("allod-worker")},
               {"compress_executable", Executable("allod-compress")},
               {"evaluation_text", dir_.Write("text", text).string()}};
  }
  ~NodeAgentTest() override {
    if (agent_) agent_->Stop();
    if (HasFailure() && fs::exists(dir_ / "log")) {
      std::cerr << std::ifstream(dir_ / "log").rdbuf();
    }
    scheduling_server_->Stop(std::chrono::milliseconds(0));
    catalog_server_->Stop(std::chrono::milliseconds(0));
  }

  static std::string Executable(const std::string& name) {
    return std::string(std::getenv("ALLOD_BUILD_DIR")) + "/bin/" + name;
  }
  void StartAgent() {
    const auto config = dir_.Write("node.json", config_.dump());
    agent_ = std::make_unique<Process>(std::vector<std::string>{Executable("allod-node"), "--config", config},
                                       ProcessOptions{.output = dir_ / "log"});
  }
  Assignment Wanted(const std::string& sha256, std::int64_t epoch = 1) const {
    Assignment a;
    a.set_replica_uid(kReplica);
    a.set_instance("tenants/ke/projects/p/instances/i");
    a.set_epoch(epoch);
    a.set_artifact_sha256(sha256);
    a.set_context_tokens(256);
    a.set_max_concurrency(2);
    return a;
  }
  // Processes whose command line names this test's directory and `what`.
  std::vector<pid_t> Processes(const std::string& what) const {
    std::vector<pid_t> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c); })) continue;
      std::stringstream command;
      command << std::ifstream(entry.path() / "cmdline").rdbuf();
      const std::string line = command.str();
      if (line.find(what) != std::string::npos && line.find(dir_.path().string()) != std::string::npos) {
        found.push_back(std::stoi(name));
      }
    }
    return found;
  }
  static bool Eventually(const std::function<bool()>& check) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!check()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  std::optional<catalog::v1::FinishJobRequest> Compress(const std::string& sha256, const std::string& type) {
    catalog::v1::Job job;
    job.mutable_compress()->set_source_sha256(sha256);
    job.mutable_compress()->set_compression(type);
    return jobs_.Do(job);
  }
  std::optional<catalog::v1::FinishJobRequest> Inspect(const std::string& sha256) {
    catalog::v1::Job job;
    job.mutable_inspect()->set_artifact_sha256(sha256);
    return jobs_.Do(job);
  }

  TempDir dir_;
  SchedulingPeer scheduling_;
  ArtifactPeer artifacts_;
  JobPeer jobs_;
  std::unique_ptr<Server> scheduling_server_;
  std::unique_ptr<Server> catalog_server_;
  nlohmann::json config_;
  std::unique_ptr<Process> agent_;
};

TEST_F(NodeAgentTest, BringsAWorkerUpAndBackAndDown) {
  const std::string sha256 = artifacts_.Put(test::TinyGguf());
  scheduling_.Desire({Wanted(sha256)});
  StartAgent();
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_READY, 1));
  EXPECT_EQ(scheduling_.joined()->node(), "nodes/local");
  EXPECT_EQ(scheduling_.joined()->region(), "regions/ke-1");
  EXPECT_GT(scheduling_.joined()->capacity().memory_bytes(), 0);
  EXPECT_EQ(scheduling_.joined()->capacity().cpu_millis(), 1000);
  const auto first = scheduling_.report().workers(0);
  EXPECT_EQ(first.replica_uid(), kReplica);
  EXPECT_TRUE(fs::is_socket(first.target().substr(5))) << first.target();

  const auto workers = Processes("allod-worker");
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_READY, 2));
  EXPECT_NE(scheduling_.report().workers(0).target(), first.target());

  scheduling_.Desire({});
  ASSERT_TRUE(scheduling_.WaitForNone());
  EXPECT_TRUE(Processes("allod-worker").empty());
}

TEST_F(NodeAgentTest, LeavesNoProcessWhenItIsKilledAndStartsCleanlyAfterwards) {
  scheduling_.Desire({Wanted(artifacts_.Put(test::TinyGguf()))});
  StartAgent();
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_READY, 1));
  agent_->Signal(SIGKILL);
  ASSERT_TRUE(agent_->Wait(std::chrono::seconds(10)));
  EXPECT_TRUE(Eventually([&] { return Processes("allod-worker").empty(); }));
  StartAgent();
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_READY, 1));
  std::size_t sockets = 0;
  for (const auto& entry : fs::directory_iterator(dir_ / "run")) sockets += entry.is_socket() ? 1 : 0;
  EXPECT_EQ(sockets, 1U);  // the old agent's are gone
}

TEST_F(NodeAgentTest, StopsItsWorkersAndItselfOnSigterm) {
  scheduling_.Desire({Wanted(artifacts_.Put(test::TinyGguf()))});
  StartAgent();
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_READY, 1));
  agent_->Signal(SIGTERM);
  EXPECT_EQ(agent_->Wait(std::chrono::seconds(10)), 0);
  EXPECT_TRUE(Processes("allod-worker").empty());
}

TEST_F(NodeAgentTest, ShowsWhyAModelCannotBeServed) {
  std::string model = test::TinyGguf();
  model.resize(model.size() / 2);
  scheduling_.Desire({Wanted(artifacts_.Put(model))});
  StartAgent();
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_FAILED, 1));
  EXPECT_NE(scheduling_.report().workers(0).message().find("GGUF_"), std::string::npos)
      << scheduling_.report().workers(0).message();
}

TEST_F(NodeAgentTest, RefusesAnOlderEpochAndKeepsTheWorkerOfTheNewer) {
  const std::string sha256 = artifacts_.Put(test::TinyGguf());
  scheduling_.Desire({Wanted(sha256, 7)});
  StartAgent();
  ASSERT_TRUE(scheduling_.WaitForState(WorkerReport::STATE_READY, 1));
  const auto worker = Processes("allod-worker");
  Assignment stale = Wanted(sha256, 6);
  stale.set_context_tokens(128);
  scheduling_.Desire({stale});
  scheduling_.Desire({Wanted(sha256, 8)});
  ASSERT_TRUE(scheduling_.WaitForReport(
      [](const auto& report) { return report.workers_size() == 1 && report.workers(0).epoch() == 8; }));
  EXPECT_EQ(Processes("allod-worker"), worker);
}

TEST_F(NodeAgentTest, InspectsAndCompressesForTheCatalog) {
  const std::string sha256 = artifacts_.Put(test::TinyGguf());
  StartAgent();
  const auto inspected = Inspect(sha256);
  ASSERT_TRUE(inspected);
  ASSERT_TRUE(inspected->has_inspect()) << inspected->DebugString();
  EXPECT_EQ(inspected->inspect().architecture(), "llama");
  EXPECT_GT(inspected->inspect().quality().perplexity(), 1);
  const auto compressed = Compress(sha256, "Q8_0");
  ASSERT_TRUE(compressed);
  ASSERT_TRUE(compressed->has_compress()) << compressed->DebugString();
  EXPECT_GT(compressed->epoch(), inspected->epoch());
  const auto& result = compressed->compress();
  EXPECT_GT(result.quality().mean_kl_divergence(), 0);
  EXPECT_GT(result.tensor_types().at("Q8_0"), 0);
  const auto stored = artifacts_.Get(result.artifact_sha256());
  ASSERT_TRUE(stored);
  EXPECT_EQ(static_cast<std::int64_t>(stored->size()), result.artifact_bytes());
  EXPECT_TRUE(fs::is_empty(dir_ / "artifacts" / "incoming"));
}

TEST_F(NodeAgentTest, TellsTheCatalogWhatIsWrongWithAFile) {
  StartAgent();
  const auto refused = Inspect(artifacts_.Put("this is no model, whatever its name says"));
  ASSERT_TRUE(refused);
  ASSERT_TRUE(refused->has_error());
  EXPECT_EQ(refused->error().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_TRUE(FromRpcStatus(refused->error()).reason.starts_with("GGUF_"));
  const auto unknown = Compress(artifacts_.Put(test::TinyGguf()), "Q1_Z");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(FromRpcStatus(unknown->error()).reason, "UNKNOWN_COMPRESSION");
  const auto missing = Inspect(std::string(64, '0'));
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->error().code(), static_cast<int>(Code::kNotFound));
}

TEST_F(NodeAgentTest, TriesAJobThatCrashesThreeTimesThenSaysSo) {
  const auto script = dir_.Write("crash", "#!/bin/sh\necho try >>" + (dir_ / "tries").string() + "\nkill -SEGV $$\n");
  chmod(script.c_str(), 0700);
  config_["compress_executable"] = script.string();
  StartAgent();
  const auto crashed = Inspect(artifacts_.Put(test::TinyGguf()));
  ASSERT_TRUE(crashed);
  ASSERT_TRUE(crashed->has_error());
  EXPECT_EQ(FromRpcStatus(crashed->error()).reason, "JOB_CRASHED");
  std::stringstream tries;
  tries << std::ifstream(dir_ / "tries").rdbuf();
  EXPECT_EQ(tries.str(), "try\ntry\ntry\n");
}

}  // namespace
}  // namespace allod::inference::node
