// The node agent's promises about models, workers and jobs.

#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "google/rpc/status.pb.h"
#include "services/common/rpc/status.h"
#include "tests/integration/node_agent_fixture.h"

namespace allod::inference::node::node_agent_test {
namespace {

namespace fs = std::filesystem;

class NodeAgentTest : public NodeAgentFixture {
 protected:
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
  // As gateways do: what never started is asked again when the worker was on its way to sleep.
  Answer AskUntilTaken(const std::string& prompt, int tokens) {
    Answer answer;
    for (int tries = 0; tries < 100; ++tries) {
      answer = Ask(prompt, tokens);
      const auto code = answer.status.error_code();
      if (answer.started_first || (code != grpc::StatusCode::UNAVAILABLE && code != grpc::StatusCode::CANCELLED)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return answer;
  }
  std::size_t Sockets() const {
    std::size_t sockets = 0;
    for (const auto& entry : fs::directory_iterator(dir_ / "run")) sockets += entry.is_socket() ? 1 : 0;
    return sockets;
  }
  // Control groups of one agent, wherever they are mounted.
  static std::vector<fs::path> Groups(pid_t agent) {
    std::vector<fs::path> found;
    std::error_code ignored;
    const std::string name = "allod-" + std::to_string(agent);
    for (auto it =
             fs::recursive_directory_iterator("/sys/fs/cgroup", fs::directory_options::skip_permission_denied, ignored);
         it != fs::recursive_directory_iterator(); it.increment(ignored)) {
      if (it->path().filename() == name) found.push_back(it->path());
    }
    return found;
  }
};

TEST_F(NodeAgentTest, BringsAWorkerUpAndDown) {
  const std::string model = test::TinyGguf({.seed = std::random_device()()});
  const std::string sha256 = Sha256Hex(model);
  scheduling_.Desire({Wanted(sha256)});
  StartAgent();
  // The target is told before there is anything behind it, and stays.
  ASSERT_TRUE(scheduling_.WaitForReport([](const auto& report) {
    return report.workers_size() == 1 && report.workers(0).state() == WorkerReport::STATE_STARTING &&
           !report.workers(0).target().empty();
  }));
  const std::string target = Reported().target();
  artifacts_.Put(model);
  ASSERT_TRUE(WaitReady());
  EXPECT_EQ(scheduling_.joined()->node(), "nodes/local");
  EXPECT_EQ(scheduling_.joined()->region(), "regions/ke-1");
  EXPECT_EQ(scheduling_.joined()->jurisdiction(), "ke");
  EXPECT_GT(scheduling_.joined()->capacity().memory_bytes(), 0);
  EXPECT_EQ(scheduling_.joined()->capacity().cpu_millis(), 1000);
  EXPECT_EQ(Reported().target(), target);
  EXPECT_TRUE(fs::is_socket(target.substr(5))) << target;
  EXPECT_EQ(Zygotes(sha256).size(), 1U);
  EXPECT_TRUE(scheduling_.WaitForReport([](const auto& report) {
    return report.resident_models_size() == 1 && report.resident_models(0).worker_count() == 1 &&
           report.resident_models(0).state() == scheduling::v1::ResidentModel::STATE_RESIDENT;
  }));

  const pid_t worker = Reported().pid();
  scheduling_.Desire({});
  ASSERT_TRUE(scheduling_.WaitForNone());
  EXPECT_TRUE(Eventually([&] { return !fs::exists("/proc/" + std::to_string(worker)); }));
  EXPECT_EQ(Zygotes(sha256).size(), 1U);  // the model stays for whoever comes next
  EXPECT_EQ(Sockets(), 0U);
}

// Whatever a scheduler says: the agent knows where its machine stands.
TEST_F(NodeAgentTest, RunsNothingThatMayNotBeWhereItStands) {
  const std::string sha256 = PutModel();
  Assignment away = Wanted(sha256, 2);
  away.mutable_residency()->clear_jurisdictions();
  away.mutable_residency()->add_jurisdictions("tz");
  Assignment unsaid = Wanted(sha256, 3);
  unsaid.clear_residency();
  Assignment pooled = Pooled(Wanted(sha256, 4));
  auto& rule = *pooled.mutable_residency()->add_rules();
  rule.set_data_class(residency::v1::DATA_CLASS_KV_CACHE);
  rule.add_jurisdictions("tz");
  scheduling_.Desire({Wanted(sha256, 1), away, unsaid, pooled});
  StartAgent();
  ASSERT_TRUE(WaitReady(1)) << "one lie is no event for the others";
  for (const int i : {2, 3, 4}) {
    ASSERT_TRUE(WaitForState(WorkerReport::STATE_FAILED, i, 0));
    EXPECT_TRUE(Reported(i).target().empty());
    EXPECT_NE(Reported(i).message().find("it stands in jurisdiction ke, outside"), std::string::npos)
        << Reported(i).message();
  }
  EXPECT_EQ(Sockets(), 1U);
  // What ran is stopped when its tenant's data may no longer be here.
  const pid_t worker = Reported(1).pid();
  Assignment narrowed = Wanted(sha256, 1);
  narrowed.mutable_residency()->set_jurisdictions(0, "tz");
  scheduling_.Desire({narrowed});
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_FAILED, 1, 0));
  EXPECT_TRUE(Eventually([&] { return !fs::exists("/proc/" + std::to_string(worker)); }));
  EXPECT_EQ(Sockets(), 0U);
}

TEST_F(NodeAgentTest, TheDeathOfAWorkerIsNoEventForItsSiblings) {
  const std::string sha256 = PutModel();
  scheduling_.Desire({Wanted(sha256, 1), Wanted(sha256, 2)});
  StartAgent();
  ASSERT_TRUE(WaitReady(1));
  ASSERT_TRUE(WaitReady(2));
  const auto first = Reported(1);
  const auto second = Reported(2);
  Stream running = Generate("a", 200, 2);
  ASSERT_EQ(kill(first.pid(), SIGKILL), 0);
  ASSERT_TRUE(WaitReady(1, 2));
  EXPECT_EQ(Reported(1).target(), first.target());
  EXPECT_NE(Reported(1).pid(), first.pid());
  EXPECT_EQ(Ask("b", 5).finished.completion_tokens(), 5);
  EXPECT_EQ(ReadAll(running).finished.completion_tokens(), 200);
  EXPECT_EQ(Reported(2).pid(), second.pid());
  EXPECT_EQ(Reported(2).start_count(), 1);
  EXPECT_EQ(Zygotes(sha256).size(), 1U);
}

TEST_F(NodeAgentTest, WorkersDieWithTheirZygoteAndComeBack) {
  const std::string sha256 = PutModel();
  scheduling_.Desire({Wanted(sha256, 1), Wanted(sha256, 2)});
  StartAgent();
  ASSERT_TRUE(WaitReady(1));
  ASSERT_TRUE(WaitReady(2));
  const auto before = Processes(sha256);
  ASSERT_EQ(kill(Zygotes(sha256).at(0), SIGKILL), 0);
  ASSERT_TRUE(WaitReady(1, 2));
  ASSERT_TRUE(WaitReady(2, 2));
  for (const pid_t old : before) {
    EXPECT_TRUE(Eventually([&] { return !fs::exists("/proc/" + std::to_string(old)); }));
  }
  EXPECT_EQ(Ask("a", 5, 1).finished.completion_tokens(), 5);
  EXPECT_EQ(Ask("a", 5, 2).finished.completion_tokens(), 5);
}

TEST_F(NodeAgentTest, LeavesNothingWhenItIsKilledAndStartsCleanlyAfterwards) {
  const std::string sha256 = PutModel();
  scheduling_.Desire({Wanted(sha256)});
  StartAgent();
  ASSERT_TRUE(WaitReady());
  Stream running = Generate("a", 0);
  v1::GenerateResponse response;
  ASSERT_TRUE(running.reader->Read(&response));
  const pid_t killed = agent_->pid();
  agent_->Signal(SIGKILL);
  ASSERT_TRUE(agent_->Wait(std::chrono::seconds(10)));
  EXPECT_TRUE(Eventually([&] { return Processes(sha256).empty(); }));
  EXPECT_FALSE(ReadAll(running).has_finished);
  scheduling_.Forget();
  StartAgent();
  ASSERT_TRUE(WaitReady());
  EXPECT_EQ(Sockets(), 1U);
  EXPECT_TRUE(Groups(killed).empty());
  // What it had computed is told by the next one, once.
  const auto events = usage_.WaitForEvents(1);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].outcome(), billing::v1::COMPUTED_OUTCOME_LOST);
  EXPECT_EQ(events[0].instance(), Instance(1));
}

TEST_F(NodeAgentTest, StopsItsWorkersAndItselfOnSigterm) {
  const std::string sha256 = PutModel();
  scheduling_.Desire({Wanted(sha256)});
  StartAgent();
  ASSERT_TRUE(WaitReady());
  const pid_t agent = agent_->pid();
  agent_->Signal(SIGTERM);
  EXPECT_EQ(agent_->Wait(std::chrono::seconds(10)), 0);
  EXPECT_TRUE(Processes(sha256).empty());
  EXPECT_EQ(Sockets(), 0U);
  EXPECT_TRUE(Groups(agent).empty());
}

TEST_F(NodeAgentTest, ShowsWhyAModelCannotBeServed) {
  std::string model = test::TinyGguf();
  model.resize(model.size() / 2);
  scheduling_.Desire({Wanted(artifacts_.Put(model))});
  StartAgent();
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_FAILED, 1, 0));
  EXPECT_NE(Reported().message().find("GGUF_"), std::string::npos) << Reported().message();
  EXPECT_EQ(Reported().target(), "");
}

TEST_F(NodeAgentTest, RefusesAModelThatWasChangedOnTheDisk) {
  config_["zygote_idle_seconds"] = 0;
  const std::string sha256 = PutModel();
  scheduling_.Desire({Wanted(sha256)});
  StartAgent();
  ASSERT_TRUE(WaitReady());
  scheduling_.Desire({});
  ASSERT_TRUE(scheduling_.WaitForNone());
  ASSERT_TRUE(Eventually([&] { return Processes(sha256).empty(); }));
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "artifacts")) {
    if (!entry.is_regular_file()) continue;
    chmod(entry.path().c_str(), 0600);
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    file.write("damage", 6);
  }
  scheduling_.Desire({Wanted(sha256, 1, 2)});
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_FAILED, 1, 0));
  EXPECT_NE(Reported().message().find("DIGEST_MISMATCH"), std::string::npos) << Reported().message();
}

TEST_F(NodeAgentTest, RefusesAnOlderEpochAndKeepsTheWorkerOfTheNewer) {
  const std::string sha256 = PutModel();
  scheduling_.Desire({Wanted(sha256, 1, 7)});
  StartAgent();
  ASSERT_TRUE(WaitReady());
  const pid_t worker = Reported().pid();
  Assignment stale = Wanted(sha256, 1, 6);
  stale.set_context_tokens(128);
  scheduling_.Desire({stale});
  scheduling_.Desire({Wanted(sha256, 1, 8)});
  ASSERT_TRUE(scheduling_.WaitForReport(
      [](const auto& report) { return report.workers_size() == 1 && report.workers(0).epoch() == 8; }));
  EXPECT_EQ(Reported().pid(), worker);
  EXPECT_EQ(Reported().start_count(), 1);
}

TEST_F(NodeAgentTest, AnIdleWorkerSleepsAndTheNextRequestWakesIt) {
  const std::string sha256 = PutModel();
  Assignment sleepy = Wanted(sha256);
  sleepy.set_sleep_after_seconds(1);
  scheduling_.Desire({sleepy});
  StartAgent();
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_READY));
  const std::string target = Reported().target();
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_ASLEEP));
  EXPECT_EQ(Reported().target(), target);
  // Several at once: one wakes it, all are answered.
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      const Answer answer = i == 0 ? AskUntilTaken("habari", 5) : AskUntilTaken("habari yako", 5);
      EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
      EXPECT_EQ(answer.finished.completion_tokens(), 5);
    });
  }
  for (std::thread& client : clients) client.join();
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_ASLEEP, 1, 2));
  // And again.
  EXPECT_EQ(AskUntilTaken("habari", 5).finished.completion_tokens(), 5);
  EXPECT_EQ(Zygotes(sha256).size(), 1U);  // the model was not loaded again
}

TEST_F(NodeAgentTest, AWorkerThatComputesDoesNotFallAsleep) {
  const std::string sha256 = PutModel({.context_length = 4096});
  Assignment sleepy = Wanted(sha256);
  sleepy.set_context_tokens(4096);
  sleepy.set_sleep_after_seconds(1);
  scheduling_.Desire({sleepy});
  StartAgent();
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_READY));
  // A reader that takes its time: tokens wait for it, and so does the worker.
  Stream slow = Generate("a", 4000);
  v1::GenerateResponse response;
  int read = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < until && slow.reader->Read(&response)) {
    ++read;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_GT(read, 10);
  EXPECT_TRUE(ReadAll(slow).has_finished);
  EXPECT_EQ(Reported().start_count(), 1);
}

TEST_F(NodeAgentTest, PooledInstancesOfTwoTenantsShareOneWorker) {
  const std::string sha256 = PutModel();
  scheduling_.Desire({Pooled(Wanted(sha256, 1)), Pooled(Wanted(sha256, 2))});
  StartAgent();
  ASSERT_TRUE(WaitReady(1));
  ASSERT_TRUE(WaitReady(2));
  EXPECT_EQ(Reported(1).pid(), Reported(2).pid());
  EXPECT_EQ(Reported(1).target(), Reported(2).target());
  EXPECT_EQ(Ask("a", 5, 1).finished.completion_tokens(), 5);
  EXPECT_EQ(Ask("a", 5, 2).finished.completion_tokens(), 5);
  // Who is no member is refused, and so is one tenant with another's instance.
  Stream unknown = Send(Stub(1), Request("a", 5, 3));
  EXPECT_EQ(FromGrpc(ReadAll(unknown).status).reason, "UNKNOWN_INSTANCE");
  v1::GenerateRequest foreign = Request("a", 5, 1);
  foreign.set_tenant_uid(Tenant(2));
  Stream refused = Send(Stub(1), foreign);
  EXPECT_EQ(FromGrpc(ReadAll(refused).status).reason, "WRONG_TENANT");
  // Members come and go, the process stays.
  const pid_t worker = Reported(1).pid();
  scheduling_.Desire({Pooled(Wanted(sha256, 1)), Pooled(Wanted(sha256, 3))});
  ASSERT_TRUE(WaitReady(3));
  EXPECT_TRUE(Eventually([&] { return Ask("a", 5, 3).finished.completion_tokens() == 5; }));
  Stream gone = Send(Stub(1), Request("a", 5, 2));
  EXPECT_EQ(FromGrpc(ReadAll(gone).status).reason, "UNKNOWN_INSTANCE");
  EXPECT_EQ(Reported(3).pid(), worker);
}

TEST_F(NodeAgentTest, ADedicatedInstanceSharesNoProcessAndNoModel) {
  const std::string sha256 = PutModel();
  Assignment dedicated = Wanted(sha256, 2);
  dedicated.set_isolation_class(scheduling::v1::ISOLATION_CLASS_DEDICATED);
  scheduling_.Desire({Wanted(sha256, 1), dedicated});
  StartAgent();
  ASSERT_TRUE(WaitReady(1));
  ASSERT_TRUE(WaitReady(2));
  EXPECT_EQ(Zygotes(sha256).size(), 2U);
  EXPECT_TRUE(scheduling_.WaitForReport([](const auto& report) {
    return std::ranges::count_if(report.resident_models(), [](const auto& m) { return m.dedicated(); }) == 1 &&
           report.resident_models_size() == 2;
  }));
  // No mapping of the file that others map.
  std::ifstream maps("/proc/" + std::to_string(Reported(2).pid()) + "/maps");
  for (std::string line; std::getline(maps, line);) EXPECT_EQ(line.find(sha256), std::string::npos) << line;
  EXPECT_EQ(Ask("a", 5, 2).finished.completion_tokens(), 5);
  scheduling_.Desire({Wanted(sha256, 1)});
  EXPECT_TRUE(Eventually([&] { return Zygotes(sha256).size() == 1; }));  // its model goes with it
  EXPECT_EQ(Reported(1).start_count(), 1);
}

TEST_F(NodeAgentTest, ReportsTheLayersOfTheSandboxThatAreInForce) {
  const bool all = HostGivesNamespaces();
  if (all) config_["sandbox"] = "strict";
  scheduling_.Desire({Wanted(PutModel())});
  StartAgent();
  ASSERT_TRUE(WaitReady());
  const WorkerReport report = Reported();
  const auto& layers = report.sandbox_layers();
  std::vector<std::string> expected{"no_new_privs", "not_dumpable", "rlimits", "seccomp"};
  if (all) {
    for (const char* layer : {"user_namespace", "mount_namespace", "pid_namespace", "ipc_namespace",
                              "network_namespace", "empty_root", "own_uid", "no_capabilities", "die_with_parent"}) {
      expected.emplace_back(layer);
    }
    // As the host sees it.
    std::ifstream status("/proc/" + std::to_string(Reported().pid()) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Uid:")) {
        EXPECT_NE(line.substr(5, 2), "0\t");
      } else if (line.starts_with("Seccomp:")) {
        EXPECT_EQ(line, "Seccomp:\t2");
      } else if (line.starts_with("CapEff:")) {
        EXPECT_EQ(line, "CapEff:\t0000000000000000");
      }
    }
  }
  for (const std::string& layer : expected) {
    EXPECT_TRUE(std::ranges::find(layers, layer) != layers.end()) << layer;
  }
}

TEST_F(NodeAgentTest, TellsBillingWhatWasComputed) {
  scheduling_.Desire({Wanted(PutModel({.context_length = 4096}))});
  StartAgent();
  ASSERT_TRUE(WaitReady());
  const Answer answer = Ask("habari", 20);
  ASSERT_TRUE(answer.has_finished) << answer.status.error_message();
  auto events = usage_.WaitForEvents(1);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].outcome(), billing::v1::COMPUTED_OUTCOME_COMPLETED);
  EXPECT_EQ(events[0].tenant_uid(), Tenant(1));
  EXPECT_EQ(events[0].replica_uid(), Replica(1));
  EXPECT_EQ(events[0].sampled_tokens(), answer.finished.sampled_tokens());
  EXPECT_GE(events[0].sampled_tokens(), 20);
  EXPECT_EQ(events[0].prompt_tokens_computed() + events[0].prompt_tokens_cached(), answer.finished.prompt_tokens());

  // A worker that is killed in the middle: what it had counted is told once, and the client is told no end.
  Stream killed = Generate("another", 0);
  v1::GenerateResponse response;
  int delivered = 0;
  while (delivered < 5 && killed.reader->Read(&response)) delivered += response.delta().token_count();
  ASSERT_EQ(kill(Reported().pid(), SIGKILL), 0);
  const Answer rest = ReadAll(killed);
  EXPECT_FALSE(rest.has_finished);
  EXPECT_EQ(rest.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  delivered += rest.delta_tokens;
  events = usage_.WaitForEvents(2);
  ASSERT_EQ(events.size(), 2U);
  const auto& lost = events[0].outcome() == billing::v1::COMPUTED_OUTCOME_LOST ? events[0] : events[1];
  EXPECT_EQ(lost.outcome(), billing::v1::COMPUTED_OUTCOME_LOST);
  EXPECT_GE(lost.sampled_tokens(), delivered);
  ASSERT_TRUE(WaitReady(1, 2));
  EXPECT_EQ(usage_.WaitForEvents(2).size(), 2U);
}

TEST_F(NodeAgentTest, InspectsAndCompressesForTheCatalogInsideTheSandbox) {
  // Where a job can have all of it, nothing less is accepted.
  const bool all = HostGivesNamespaces();
  if (all) config_["sandbox"] = "strict";
  const std::string sha256 = PutModel();
  StartAgent();
  const auto inspected = Inspect(sha256);
  ASSERT_TRUE(inspected);
  ASSERT_TRUE(inspected->has_inspect()) << inspected->DebugString();
  EXPECT_EQ(inspected->inspect().architecture(), "llama");
  EXPECT_GT(inspected->inspect().quality().perplexity(), 1);
  const std::string canonical = inspected->inspect().artifact_sha256();
  EXPECT_NE(canonical, sha256);
  ASSERT_TRUE(artifacts_.Get(canonical));
  EXPECT_EQ(static_cast<std::int64_t>(artifacts_.Get(canonical)->size()), inspected->inspect().artifact_bytes());
  const auto again = Inspect(canonical);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->inspect().artifact_sha256(), canonical) << "nothing to rewrite";
  const auto compressed = Compress(canonical, "Q8_0");
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

  std::ifstream log(dir_ / "log");
  int confined = 0;
  for (std::string line; std::getline(log, line);) {
    if (line.find("job confined") == std::string::npos) continue;
    ++confined;
    for (const char* layer : {"no_capabilities", "no_new_privs", "not_dumpable", "rlimits", "seccomp"}) {
      EXPECT_NE(line.find(layer), std::string::npos) << line;
    }
    for (const char* layer : {"own_uid", "empty_root", "network_namespace", "pid_namespace"}) {
      EXPECT_TRUE(!all || line.find(layer) != std::string::npos) << line;
    }
  }
  EXPECT_EQ(confined, 3);
}

TEST_F(NodeAgentTest, TellsTheCatalogWhatIsWrongWithAFile) {
  StartAgent();
  const auto refused = Inspect(artifacts_.Put("this is no model, whatever its name says"));
  ASSERT_TRUE(refused);
  ASSERT_TRUE(refused->has_error());
  EXPECT_EQ(refused->error().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_TRUE(FromRpcStatus(refused->error()).reason.starts_with("GGUF_"));
  const auto unknown = Compress(PutModel(), "Q1_Z");
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
  const auto crashed = Inspect(PutModel());
  ASSERT_TRUE(crashed);
  ASSERT_TRUE(crashed->has_error());
  EXPECT_EQ(FromRpcStatus(crashed->error()).reason, "JOB_CRASHED");
  std::stringstream tries;
  tries << std::ifstream(dir_ / "tries").rdbuf();
  EXPECT_EQ(tries.str(), "try\ntry\ntry\n");
}

}  // namespace
}  // namespace allod::inference::node::node_agent_test
