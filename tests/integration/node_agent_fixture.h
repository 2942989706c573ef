// The real allod-node with the real allod-worker and allod-compress, against peers in this process.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "services/common/ids.h"
#include "services/common/rpc/client.h"
#include "tests/integration/node_peers.h"
#include "tests/support/instrumented.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::node {

class NodeAgentFixture : public testing::Test {
 protected:
  using Assignment = scheduling::v1::Assignment;
  using WorkerReport = scheduling::v1::WorkerReport;

  NodeAgentFixture() {
    scheduling_server_ = *Server::Start({.listen = "unix:" + (dir_ / "s.sock").string()}, {&scheduling_});
    catalog_server_ = *Server::Start({.listen = "unix:" + (dir_ / "c.sock").string()}, {&artifacts_, &jobs_});
    billing_server_ = *Server::Start({.listen = "unix:" + (dir_ / "b.sock").string()}, {&usage_});
    std::string text;
    while (text.size() < 8000) text += "The county clinic opens at eight. Bring the card of the child. ";
    config_ = {{"node", "local"},
               {"region", "ke-1"},
               {"jurisdiction", "ke"},
               {"cpu_millis", 1000},
               {"scheduling_target", "unix:" + (dir_ / "s.sock").string()},
               {"catalog_target", "unix:" + (dir_ / "c.sock").string()},
               {"billing_target", "unix:" + (dir_ / "b.sock").string()},
               {"artifact_dir", (dir_ / "artifacts").string()},
               {"run_dir", (dir_ / "run").string()},
               {"usage_dir", (dir_ / "usage").string()},
               {"worker_executable", Executable("allod-worker")},
               {"compress_executable", Executable("allod-compress")},
               {"evaluation_text", dir_.Write("text", text).string()},
               // Tests count processes; those of the spares ask for them.
               {"spare_worker_seconds", 0},
               {"pool", {{"sequences", 4}, {"context_tokens", 256}}}};
  }
  ~NodeAgentFixture() override {
    if (agent_) agent_->Stop();
    if (HasFailure() && std::filesystem::exists(dir_ / "log")) std::cerr << std::ifstream(dir_ / "log").rdbuf();
    for (const auto& server : {&scheduling_server_, &catalog_server_, &billing_server_}) {
      (*server)->Stop(std::chrono::milliseconds(0));
    }
  }

  static std::string Executable(const std::string& name) {
    return std::string(std::getenv("ALLOD_BUILD_DIR")) + "/bin/" + name;
  }
  void StartAgent() {
    const auto config = dir_.Write("node.json", config_.dump());
    umask(077);  // as `allod up` starts it
    agent_ = std::make_unique<Process>(std::vector<std::string>{Executable("allod-node"), "--config", config},
                                       ProcessOptions{.output = dir_ / "log"});
  }
  // A model of this test alone: its processes can be told from all others by its digest.
  std::string PutModel(test::TinyModelOptions options = {}) {
    options.seed = std::random_device()();
    return artifacts_.Put(test::TinyGguf(options));
  }

  static std::string Replica(int i) { return "01900000-0000-7000-8000-00000000000" + std::to_string(i); }
  static std::string Instance(int i) { return "tenants/t" + std::to_string(i) + "/projects/p/instances/i"; }
  static std::string Tenant(int i) { return Uuid::FromName("tenants/t" + std::to_string(i)).ToString(); }
  // Number `i` of the instances, each of a tenant of its own.
  static Assignment Wanted(const std::string& sha256, int i = 1, std::int64_t epoch = 1) {
    Assignment a;
    a.set_replica_uid(Replica(i));
    a.set_instance(Instance(i));
    a.set_tenant_uid(Tenant(i));
    a.set_epoch(epoch);
    a.set_artifact_sha256(sha256);
    a.set_artifact_bytes(1 << 20);
    a.set_context_tokens(256);
    a.set_max_concurrency(2);
    a.set_isolation_class(scheduling::v1::ISOLATION_CLASS_ISOLATED);
    a.set_weight(1);
    a.mutable_residency()->add_jurisdictions("ke");
    return a;
  }
  static Assignment Pooled(Assignment a) {
    a.set_isolation_class(scheduling::v1::ISOLATION_CLASS_POOLED);
    return a;
  }

  // Processes whose command line names `what`: a zygote (two processes) and its workers name their model's digest.
  static std::vector<pid_t> Processes(const std::string& what) {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
      std::stringstream command;
      command << std::ifstream(entry.path() / "cmdline").rdbuf();
      if (command.str().find(what) != std::string::npos) found.push_back(std::stoi(name));
    }
    return found;
  }
  static pid_t ParentOf(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
    }
    return 0;
  }
  // The agent's own children that keep this model.
  std::vector<pid_t> Zygotes(const std::string& sha256) const {
    std::vector<pid_t> found = Processes(sha256);
    std::erase_if(found, [this](pid_t pid) { return ParentOf(pid) != agent_->pid(); });
    return found;
  }
  static bool Eventually(const std::function<bool()>& check, std::chrono::milliseconds patience = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!check()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  // Whether this host lets a process have namespaces of its own; a bare chroot does not.
  static bool HostGivesNamespaces() {
    if (!test::kMayHaveUserNamespace) return false;
    const pid_t child = fork();
    if (child == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    return geteuid() == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  // What is reported of number `i`; empty when nothing is.
  WorkerReport Reported(int i = 1) {
    const auto report = scheduling_.report();
    for (const auto& worker : report.workers()) {
      if (worker.replica_uid() == Replica(i)) return worker;
    }
    return {};
  }
  bool WaitForState(WorkerReport::State state, int i = 1, int start_count = 1) {
    return scheduling_.WaitForReport([&](const auto& report) {
      return std::ranges::any_of(report.workers(), [&](const WorkerReport& w) {
        return w.replica_uid() == Replica(i) && w.state() == state && w.start_count() == start_count;
      });
    });
  }
  bool WaitReady(int i = 1, int start_count = 1) {
    return WaitForState(WorkerReport::STATE_READY, i, start_count) &&
           // Its process is told with the figures, once a second.
           scheduling_.WaitForReport([&](const auto& report) {
             return std::ranges::any_of(report.workers(), [&](const WorkerReport& w) {
               return w.replica_uid() == Replica(i) && w.start_count() == start_count && w.pid() > 0 &&
                      std::filesystem::exists("/proc/" + std::to_string(w.pid())) && w.sandbox_layers_size() > 0;
             });
           });
  }

  // Calls to a worker.
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  struct Answer {
    std::string text;
    int delta_tokens = 0;
    bool started_first = false;
    v1::GenerateResponse::Finished finished;
    bool has_finished = false;
    grpc::Status status;
  };
  v1::WorkerService::Stub& Stub(int i = 1) {
    const std::string target = Reported(i).target();
    const std::lock_guard lock(stubs_mutex_);
    auto& stub = stubs_[target];
    if (!stub) stub = v1::WorkerService::NewStub(MakeChannel(target));
    return *stub;
  }
  static v1::GenerateRequest Request(const std::string& prompt, int tokens, int i = 1) {
    v1::GenerateRequest request;
    request.set_request_id(Uuid::V7().ToString());
    request.set_tenant_uid(Tenant(i));
    request.set_instance(Instance(i));
    request.set_text(prompt);
    request.set_max_completion_tokens(tokens);
    request.mutable_sampling()->set_temperature(0);
    return request;
  }
  static Stream Send(v1::WorkerService::Stub& stub, const v1::GenerateRequest& request,
                     const Caller& caller = Caller::Service("gateway")) {
    Stream stream{MakeStreamContext(caller), nullptr};
    stream.context->set_deadline(std::chrono::system_clock::now() + kPatience);
    stream.reader = stub.Generate(stream.context.get(), request);
    return stream;
  }
  Stream Generate(const std::string& prompt, int tokens, int i = 1) {
    return Send(Stub(i), Request(prompt, tokens, i));
  }
  static Answer ReadAll(Stream& stream) {
    Answer answer;
    v1::GenerateResponse response;
    for (int n = 0; stream.reader->Read(&response); ++n) {
      if (n == 0) answer.started_first = response.has_started();
      answer.text += response.delta().text();
      answer.delta_tokens += response.delta().token_count();
      if (response.has_finished()) {
        answer.finished = response.finished();
        answer.has_finished = true;
      }
    }
    answer.status = stream.reader->Finish();
    return answer;
  }
  Answer Ask(const std::string& prompt, int tokens, int i = 1) {
    Stream stream = Generate(prompt, tokens, i);
    return ReadAll(stream);
  }
  Result<v1::WorkerStatus> GetStatus(int i = 1) {
    return CallUnary(Stub(i), &v1::WorkerService::Stub::GetWorkerStatus, v1::GetWorkerStatusRequest(),
                     Caller::Node("n"), std::chrono::seconds(5));
  }

  TempDir dir_;
  SchedulingPeer scheduling_;
  ArtifactPeer artifacts_;
  JobPeer jobs_;
  ComputedUsagePeer usage_;
  std::unique_ptr<Server> scheduling_server_;
  std::unique_ptr<Server> catalog_server_;
  std::unique_ptr<Server> billing_server_;
  nlohmann::json config_;
  std::unique_ptr<Process> agent_;
  std::mutex stubs_mutex_;
  std::map<std::string, std::unique_ptr<v1::WorkerService::Stub>> stubs_;
};

}  // namespace allod::inference::node
