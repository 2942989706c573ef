// Attempts to break out of a worker's sandbox, from inside of a real one: a zygote and workers as the product makes
// them (Zygote::Enter, Zygote::Serve, sandbox/confine.h), whose body is not an engine but somebody hostile. A sibling
// of it, which takes its turns at the gate all the while, shows whether others are harmed.
//
// The last line is JSON: attempted, succeeded, the names of what succeeded, the layers in force. Exit status 1 when
// something succeeded although the host gives all layers, or when an attempt was not made.

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "inference/gate/arbiter.h"
#include "inference/gate/gate_client.h"
#include "inference/node/process/cgroups.h"
#include "inference/node/process/worker_process.h"
#include "inference/node/process/worker_socket.h"
#include "inference/node/process/zygote_process.h"
#include "inference/sandbox/confine.h"
#include "inference/usage/ring_file.h"
#include "inference/usage/ring_mapping.h"
#include "inference/zygote/zygote.h"
#include "services/common/log.h"
#include "tests/bench/pool/hostile_actions.h"
#include "tests/support/temp_dir.h"

namespace allod::bench {
namespace {

using namespace inference;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kControlFd = 3;
constexpr auto kPatience = std::chrono::seconds(60);
// A worker may take 512 MiB beyond what it has (sandbox/confine.cc); this much must be out of reach.
constexpr std::size_t kTooMuchMemory = std::size_t{1} << 30;
constexpr int kTooManyThreads = 1000;
constexpr std::uint32_t kFirstUid = 0x71000000;

// The worker's side
// ------------------------------------------------------------------------------------------------------

std::vector<HostileAction> SystemCallActions() {
  std::vector<HostileAction> all;
  for (auto& group : {NetworkActions(), FileActions(), ProcessActions(), KernelActions()}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

[[noreturn]] void SleepForEver() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

// Touched memory until there is no more.
bool MemoryBomb(int flags) {
  constexpr std::size_t kPiece = 16 << 20;
  std::size_t total = 0;
  while (total < kTooMuchMemory) {
    void* piece = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) return false;
    std::memset(piece, 1, kPiece);
    total += kPiece;
  }
  return true;
}

bool HeapBomb() {
  constexpr std::size_t kPiece = 1 << 20;
  for (std::size_t total = 0; total < kTooMuchMemory; total += kPiece) {
    void* piece = std::malloc(kPiece);
    if (piece == nullptr) return false;
    std::memset(piece, 1, kPiece);
  }
  return true;
}

bool ThreadBomb() {
  int threads = 0;
  try {
    for (; threads < kTooManyThreads; ++threads) {
      std::thread(SleepForEver).detach();
    }
  } catch (const std::system_error&) {
  }
  return threads >= kTooManyThreads;
}

// 32-bit system calls have other numbers, which a careless filter lets through.
bool CompatibleSystemCall() {
#if defined(__x86_64__)
  long result = 20;  // getpid of i386, writev of x86-64
  asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result > 0;
#else
  return false;
#endif
}

struct WorkerTask {
  std::string role;
  Surroundings around;
};

json ToJson(const WorkerTask& task) {
  const Surroundings& s = task.around;
  return {{"role", task.role},      {"others", s.others},          {"model", s.model},  {"socket", s.sibling_socket},
          {"ring", s.sibling_ring}, {"abstract", s.abstract_name}, {"port", s.tcp_port}};
}

WorkerTask TaskFrom(const std::string& text) {
  const json in = json::parse(text);
  WorkerTask task{in.at("role"), {}};
  task.around.others = in.at("others").get<std::vector<pid_t>>();
  task.around.model = in.at("model");
  task.around.sibling_socket = in.at("socket");
  task.around.sibling_ring = in.at("ring");
  task.around.abstract_name = in.at("abstract");
  task.around.tcp_port = in.at("port");
  return task;
}

void TakeTurns(gate::GateClient& gate) {
  while (true) {
    gate.Begin();
    std::this_thread::sleep_for(milliseconds(2));
    gate.End(0, 1);
  }
}

// Takes the cores and never gives them back, whoever waits.
void HoldTheGate(gate::GateClient& gate, gate::WorkerPage& page) {
  gate.Begin();
  while (true) {
    page.turn = gate::kHeld;
    page.turns.fetch_add(1);
    std::this_thread::sleep_for(milliseconds(1));
  }
}

int RunWorker(zygote::WorkerStart start) {
  inference::sandbox::ConfineBeforeThreads(start.layers);
  void* page = mmap(nullptr, gate::kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, start.fds[zygote::kFdPage].get(), 0);
  zygote::Channel control(std::move(start.fds[zygote::kFdControl]));
  auto assigned = zygote::AwaitAssignment(control);
  if (!assigned) return 1;
  auto ring = usage::RingMapping::FromFd(assigned->fds[zygote::kFdRing].get());
  if (page == MAP_FAILED || !ring) return 1;
  auto& worker_page = *static_cast<gate::WorkerPage*>(page);
  gate::GateClient gate(worker_page, start.fds[zygote::kFdGate].get());
  inference::sandbox::ConfineResources(start.statm.get(), start.layers);
  std::thread(SleepForEver).detach();  // the filter is for all threads
  inference::sandbox::ConfineSystemCalls(start.serving_filter, start.layers);

  WorkerTask task = TaskFrom(assigned->members.at(0).instance);
  task.around.listen_fd = assigned->fds[zygote::kFdListen].get();
  task.around.page_fd = start.fds[zygote::kFdPage].get();
  task.around.gate_fd = start.fds[zygote::kFdGate].get();
  task.around.ring_fd = assigned->fds[zygote::kFdRing].get();
  (void)control.Send({{"type", "ready"}, {"layers", start.layers.names()}});
  const auto tell = [&control](const std::string& name, bool succeeded) {
    while (true) {
      const Status sent = control.Send({{"type", "attempt"}, {"name", name}, {"succeeded", succeeded}});
      if (sent || sent.error().reason != "CHANNEL_FULL") return;
      std::this_thread::sleep_for(milliseconds(1));
    }
  };
  if (task.role == "sibling") TakeTurns(gate);
  if (task.role == "holds_the_gate_for_ever") HoldTheGate(gate, worker_page);
  if (task.role == "calls") {
    for (const HostileAction& action : SystemCallActions()) tell(action.name, action.attempt(task.around));
  }
  if (task.role == "private_memory_bomb") tell(task.role, MemoryBomb(MAP_PRIVATE));
  if (task.role == "shared_memory_bomb") tell(task.role, MemoryBomb(MAP_SHARED));
  if (task.role == "heap_bomb") tell(task.role, HeapBomb());
  if (task.role == "thread_bomb") tell(task.role, ThreadBomb());
  if (task.role == "system_calls_of_32_bits") tell(task.role, CompatibleSystemCall());
  (void)control.Send({{"type", "done"}});
  SleepForEver();
}

int RunZygote() {
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  auto zygote = zygote::Zygote::Enter(zygote::Channel(OwnedFd(kControlFd)), {});
  if (!zygote) return 1;
  close(kControlFd + 1);  // the model; as allod-worker does when it is loaded
  if (!zygote->AnnounceResident({{"load_seconds", 0}, {"kv_bytes_per_token_max", 0}})) return 0;
  return zygote->Serve(RunWorker) ? 0 : 1;
}

// The agent's side
// -------------------------------------------------------------------------------------------------------

struct Worker {
  node::process::WorkerProcess process;
  std::string role;
  bool ready = false;
  bool over = false;  // it did all it was to do, or it ended
  bool ended = false;
};

class Agent {
 public:
  Agent() : gate_({.cores = 1, .turn_stuck = milliseconds(500)}), zygote_(StartZygote()) {
    OpenDoors();
    while (!resident_) Look();
  }
  ~Agent() {
    for (auto& [id, worker] : workers_) gate_.Remove(id);
  }

  std::uint64_t Fork(const std::string& role) {
    const std::uint64_t id = ++last_id_;
    auto process = Check(node::process::WorkerProcess::Prepare(id, role, Check(gate_.MakeBell(id))));
    const auto ring_path = dir_ / fmt::format("{}.ring", id);
    const auto ring = Check(usage::RingFile::Create(ring_path, Uuid::V7(), "01900000-0000-7000-8000-00000000abcd"));
    sockets_.push_back(Check(node::process::WorkerSocket::Listen(dir_.path(), role)));
    zygote::WorkerSpec spec;
    spec.id = id;
    if (!zygote_.Fork(spec, process.fork_fds())) throw std::runtime_error("the zygote does not listen");
    process.Assign(role, {{.instance = ToJson(WorkerTask{role, around_}).dump(), .tenant_uid = role}},
                   sockets_.back().fd(), OwnedFd(fcntl(ring.fd(), F_DUPFD_CLOEXEC, 0)));
    gate_.Add(id, process.page(), role, 1, 1);
    workers_.emplace(id, Worker{std::move(process), role});
    if (role == "sibling") {
      around_.sibling_socket = sockets_.back().target().substr(5);
      around_.sibling_ring = ring_path;
    }
    WaitUntil([&] { return workers_.at(id).ready || workers_.at(id).over; });
    if (role == "sibling") around_.others = {1, getpid(), zygote_.pid(), workers_.at(id).process.pid()};
    return id;
  }

  // False when it takes too long.
  template <typename Done>
  bool WaitUntil(Done done, steady_clock::duration patience = kPatience) {
    const auto deadline = steady_clock::now() + patience;
    while (!done()) {
      if (steady_clock::now() > deadline) return false;
      Look();
    }
    return true;
  }
  void End(std::uint64_t id) {
    Worker& worker = workers_.at(id);
    worker.process.Kill();
    WaitUntil([&] { return worker.ended; });
    gate_.Remove(id);
    cgroups_.Remove(worker.role);
  }
  const Worker& worker(std::uint64_t id) const { return workers_.at(id); }
  std::uint64_t turns(std::uint64_t id) const { return workers_.at(id).process.page().turns.load(); }
  const std::map<std::string, bool>& attempts() const { return attempts_; }
  const std::set<std::string>& layers() const { return layers_; }

 private:
  template <typename T>
  static T Check(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
  }

  node::process::ZygoteProcess StartZygote() {
    around_.model = dir_.Write("model.gguf", std::string(1 << 16, 'm'));
    return Check(node::process::ZygoteProcess::Start({.executable = std::filesystem::read_symlink("/proc/self/exe"),
                                                      .model = around_.model,
                                                      .sha256 = std::string(64, 'a'),
                                                      .first_uid = kFirstUid}));
  }

  // What a worker could reach if nothing stopped it.
  void OpenDoors() {
    tcp_ = OwnedFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    if (bind(tcp_.get(), reinterpret_cast<sockaddr*>(&address), bytes) != 0 || listen(tcp_.get(), 16) != 0 ||
        getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
      throw std::runtime_error("no TCP socket");
    }
    around_.tcp_port = ntohs(address.sin_port);
    around_.abstract_name = fmt::format("allod-escape-{}", getpid());
    abstract_ = OwnedFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    around_.abstract_name.copy(name.sun_path + 1, sizeof(name.sun_path) - 1);
    bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + around_.abstract_name.size());
    if (bind(abstract_.get(), reinterpret_cast<sockaddr*>(&name), bytes) != 0 || listen(abstract_.get(), 16) != 0) {
      throw std::runtime_error("no abstract socket");
    }
  }

  void Look() {
    std::vector<pollfd> fds{{zygote_.channel_fd(), POLLIN, 0}, {zygote_.stderr_fd(), POLLIN, 0}};
    for (auto& [id, worker] : workers_) {
      fds.push_back({worker.process.control_fd(), POLLIN, 0});
      fds.push_back({worker.process.log_fd(), POLLIN, 0});
    }
    poll(fds.data(), fds.size(), 20);
    zygote_.ReadLog();
    for (node::process::ZygoteProcess::Event& event : zygote_.ReadEvents()) Handle(std::move(event));
    if (zygote_.TryReap()) throw std::runtime_error("the zygote ended");
    for (auto& [id, worker] : workers_) {
      worker.process.ReadLog();
      Read(worker);
    }
  }

  void Handle(node::process::ZygoteProcess::Event event) {
    if (std::holds_alternative<node::process::ZygoteProcess::Resident>(event)) resident_ = true;
    if (auto* forked = std::get_if<node::process::ZygoteProcess::Forked>(&event)) {
      Worker& worker = workers_.at(forked->id);
      if (!worker.process.Forked(std::move(forked->pidfd))) throw std::runtime_error("no process was forked");
      const node::process::CgroupLimits limits{.memory_bytes_max = std::int64_t{768} << 20};
      for (const std::string& layer : cgroups_.Confine(worker.role, worker.process.pid(), limits))
        layers_.insert(layer);
      worker.process.LetGo();
      worker.process.LetServe();
    }
    if (const auto* ended = std::get_if<node::process::ZygoteProcess::WorkerEnded>(&event)) {
      workers_.at(ended->id).over = workers_.at(ended->id).ended = true;
    }
  }

  void Read(Worker& worker) {
    std::array<char, 4096> text{};
    ssize_t bytes = 0;
    while ((bytes = recv(worker.process.control_fd(), text.data(), text.size(), MSG_DONTWAIT)) > 0) {
      const json message = json::parse(text.data(), text.data() + bytes);
      if (message.at("type") == "ready") {
        worker.ready = true;
        for (const auto& layer : message.at("layers")) layers_.insert(layer.get<std::string>());
      } else if (message.at("type") == "done") {
        worker.over = true;
      } else if (message.at("type") == "attempt") {
        attempts_[message.at("name")] = message.at("succeeded").get<bool>();
      }
    }
  }

  TempDir dir_;
  Surroundings around_;
  OwnedFd tcp_;
  OwnedFd abstract_;
  gate::Arbiter gate_;
  node::process::Cgroups cgroups_;
  node::process::ZygoteProcess zygote_;
  bool resident_ = false;
  std::uint64_t last_id_ = 0;
  std::vector<node::process::WorkerSocket> sockets_;
  std::map<std::uint64_t, Worker> workers_;
  std::map<std::string, bool> attempts_;
  std::set<std::string> layers_;
};

// Whether the sibling goes on computing.
bool GoesOn(Agent& agent, std::uint64_t sibling) {
  const std::uint64_t from = agent.turns(sibling);
  return agent.WaitUntil([&] { return agent.turns(sibling) >= from + 20; }, std::chrono::seconds(20)) &&
         !agent.worker(sibling).ended;
}

int RunAgent() {
  Agent agent;
  const std::uint64_t sibling = agent.Fork("sibling");
  std::map<std::string, bool> outcomes;
  bool all_made = true;
  const auto run = [&](const std::string& role) {
    const std::uint64_t id = agent.Fork(role);
    if (!agent.WaitUntil([&] { return agent.worker(id).over; })) {
      all_made = false;
      std::cerr << role << " never came to an end\n";
    }
    outcomes["harm_others_by_" + role] = !GoesOn(agent, sibling);
    agent.End(id);
  };
  run("calls");
  for (const HostileAction& action : SystemCallActions()) {
    if (agent.attempts().contains(action.name)) continue;
    all_made = false;
    std::cerr << action.name << " was not tried\n";
  }
  for (const char* role :
       {"private_memory_bomb", "shared_memory_bomb", "heap_bomb", "thread_bomb", "system_calls_of_32_bits"}) {
    outcomes[role] = false;  // that it was killed for it is no success
    run(role);
  }
  const std::uint64_t holder = agent.Fork("holds_the_gate_for_ever");
  std::this_thread::sleep_for(milliseconds(50));
  outcomes["hold_the_gate_for_ever"] = !GoesOn(agent, sibling);
  agent.End(holder);
  for (const auto& [name, succeeded] : agent.attempts()) outcomes[name] = succeeded;

  std::vector<std::string> succeeded;
  for (const auto& [name, reached] : outcomes) {
    if (reached) succeeded.push_back(name);
  }
  inference::sandbox::Layers layers;
  for (const std::string& layer : agent.layers()) layers.Add(layer);
  const bool complete = inference::sandbox::RequireStrict(layers).has_value();
  std::cout << json{{"benchmark", "escape"}, {"attempted", outcomes.size()}, {"succeeded", succeeded.size()},
                    {"names", succeeded},    {"layers", agent.layers()},     {"strict", complete},
                    {"target", 0},           {"met", succeeded.empty()}}
                   .dump()
            << "\n";
  if (!complete) std::cerr << "this host does not give all layers of the sandbox: no verdict\n";
  return !all_made || (complete && !succeeded.empty()) ? 1 : 0;
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  allod::InitLog("escape");
  if (argc > 1 && std::string(argv[1]) == "--sha256") return allod::bench::RunZygote();
  try {
    return allod::bench::RunAgent();
  } catch (const std::exception& e) {
    std::cerr << "bench_escape: " << e.what() << "\n";
    return 1;
  }
}
