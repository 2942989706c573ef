#include "inference/worker/serve.h"

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "inference/gate/gate_client.h"
#include "inference/gate/worker_page.h"
#include "inference/sandbox/confine.h"
#include "inference/usage/ring_mapping.h"
#include "inference/usage/ring_recorder.h"
#include "inference/worker/worker_service.h"
#include "services/common/log.h"
#include "services/common/rpc/accept_loop.h"
#include "services/common/rpc/method.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using zygote::kFdControl;
using zygote::kFdGate;
using zygote::kFdListen;
using zygote::kFdPage;
using zygote::kFdRing;

// For who is stopped without a word of how long it may take; and for callers that take nothing.
constexpr milliseconds kDrain{1900};
// What calls that were ended may need to tell their callers.
constexpr milliseconds kLastWords{700};
constexpr milliseconds kFiguresEvery{500};
constexpr milliseconds kWarmUpMax{5000};
constexpr int kStreamsPerConnectionMax = 4096;
constexpr int kWriteBufferBytes = 8 << 10;
// Threads of gRPC and of ggml use little stack; what is reserved counts against the limit of data.
constexpr std::size_t kThreadStackBytes = 1 << 20;

std::string Milliseconds(steady_clock::duration time) {
  return fmt::format("{:.1f}", std::chrono::duration<double, std::milli>(time).count());
}

Result<gate::WorkerPage*> MapPage(int fd) {
  void* page = mmap(nullptr, gate::kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) return Internal("the worker's page could not be mapped");
  auto* out = static_cast<gate::WorkerPage*>(page);
  if (out->magic.load() != gate::kPageMagic) return Internal("the worker's page is of another version");
  return out;
}

// Counts in the ring that comes with the assignment; what is computed before that is nobody's.
class AssignedRecorder final : public ports::UsageRecorder {
 public:
  // Before anybody is served.
  void Assign(usage::RingMapping ring) { ring_.emplace(std::move(ring)); }
  std::uint64_t closed_total() const { return ring_ ? ring_->closed_total() : 0; }

  Result<std::unique_ptr<ports::UsageSlot>> Open(std::string_view request_id, std::string_view tenant_uid,
                                                 std::string_view instance) override {
    return ring_ ? ring_->Open(request_id, tenant_uid, instance) : nobody_.Open(request_id, tenant_uid, instance);
  }

 private:
  std::optional<usage::RingRecorder> ring_;
  ports::NoUsageRecorder nobody_;
};

// What a worker shows of itself: counted from its assignment on.
class Figures {
 public:
  Figures(const ports::Servable& servable, const WorkerServiceImpl& service, const AssignedRecorder& recorder,
          gate::WorkerPage& page)
      : servable_(servable), service_(service), recorder_(recorder), page_(page), before_(servable.figures()) {}

  void Show() const;

 private:
  const ports::Servable& servable_;
  const WorkerServiceImpl& service_;
  const AssignedRecorder& recorder_;
  gate::WorkerPage& page_;
  const ports::ServableFigures before_;
};

void Figures::Show() const {
  const ports::ServableFigures figures = servable_.figures();
  const auto store = [](auto& field, auto value) {
    // Differences of two counters, which are not read at one moment: what is shown never falls.
    const auto now = static_cast<std::uint64_t>(std::max<decltype(value)>(0, value));
    if (now > field.load(std::memory_order_relaxed)) field.store(now, std::memory_order_relaxed);
  };
  const auto since = [&](auto ports::ServableFigures::*total) { return figures.*total - before_.*total; };
  page_.active_requests.store(static_cast<std::uint32_t>(std::max(0, figures.active_sequences)),
                              std::memory_order_relaxed);
  // What is computed and waits for its reader is under way as well: who has it does not sleep.
  const std::int32_t waiting = std::max(figures.queued_requests, service_.open_calls() - figures.active_sequences);
  page_.queued_requests.store(static_cast<std::uint32_t>(std::max(0, waiting)), std::memory_order_relaxed);
  store(page_.prompt_tokens_total, since(&ports::ServableFigures::prompt_tokens_total) -
                                       since(&ports::ServableFigures::cached_prompt_tokens_total));
  store(page_.cached_prompt_tokens_total, since(&ports::ServableFigures::cached_prompt_tokens_total));
  store(page_.completion_tokens_total, since(&ports::ServableFigures::sampled_tokens_total));
  store(page_.ttft_count, since(&ports::ServableFigures::first_tokens_total));
  store(page_.ttft_us_sum, static_cast<std::int64_t>(since(&ports::ServableFigures::first_token_seconds_total) * 1e6));
  store(page_.gate_wait_us, static_cast<std::int64_t>(since(&ports::ServableFigures::wait_seconds_total) * 1e6));
  page_.requests_total.store(recorder_.closed_total(), std::memory_order_relaxed);
}

Status TakeMembers(const nlohmann::json& message, ports::Servable& servable, zygote::Channel& control) {
  ALLOD_TRY(auto members, zygote::MembersFrom(message.value("members", nlohmann::json::array())));
  const auto refused = servable.SetMembers(std::move(members));
  return control.Send({{"type", "members"},
                       {"version", message.value("version", std::uint64_t{0})},
                       {"refused", zygote::ToJson(refused)}});
}
// Gives memory back when nothing was computed since the last look, once until something is again.
class Thrift {
 public:
  explicit Thrift(ports::Servable& servable) : servable_(servable) {}
  void Look() {
    const std::int64_t turns = servable_.figures().turns_total;
    if (turns == turns_seen_ && turns != turns_trimmed_) {
      servable_.GiveBackScratch();
      malloc_trim(0);
      turns_trimmed_ = turns;
    }
    turns_seen_ = turns;
  }

 private:
  ports::Servable& servable_;
  std::int64_t turns_seen_ = 0;
  std::int64_t turns_trimmed_ = 0;
};

// Until the agent says stop, or is gone: how long calls that progress may take then.
milliseconds Obey(zygote::Channel& control, ports::Servable& servable, const Figures& figures) {
  Thrift thrift(servable);
  while (true) {
    pollfd fd{control.fd(), POLLIN, 0};
    poll(&fd, 1, static_cast<int>(kFiguresEvery.count()));
    figures.Show();
    if (fd.revents == 0) {
      thrift.Look();
      continue;
    }
    const auto message = control.Receive(/*wait=*/false);
    if (!message) _exit(0);  // nobody is left to work for
    if (!*message) continue;
    if ((*message)->type() == "stop") {
      return std::max(kDrain, milliseconds((*message)->body.value("drain_ms", std::int64_t{0})));
    }
    if ((*message)->type() != "members") continue;
    // Which are in force now is said, so that nobody is called ready before.
    if (const Status told = TakeMembers((*message)->body, servable, control); !told) {
      Log(LogLevel::kError, "the new members were not taken", {{"error", told.error().message}});
    }
  }
}

Status Serve(const MakeServable& make, zygote::WorkerStart& start) {
  const auto started_at = steady_clock::now();
  sandbox::ConfineBeforeThreads(start.layers);
  ALLOD_TRY(gate::WorkerPage* const page, MapPage(start.fds[kFdPage].get()));
  gate::GateClient gate(*page, start.fds[kFdGate].get());
  AssignedRecorder recorder;
  ALLOD_TRY(const auto servable, make(start.spec.shape, gate, recorder));
  const auto engine_at = steady_clock::now();

  sandbox::ConfineResources(start.statm.get(), start.layers);

  WorkerIdentity identity;  // complete when the first call comes
  WorkerServiceImpl service(*servable, identity);
  ServerConfig server_config;
  server_config.threads_max = 32;
  // A gateway sends everything through one connection; how many wait is bounded by the servable's queue.
  server_config.streams_per_connection_max = kStreamsPerConnectionMax;
  server_config.write_buffer_bytes = kWriteBufferBytes;
  ALLOD_TRY(const auto server, Server::Start(server_config, {&service}));
  const auto server_at = steady_clock::now();

  zygote::Channel control(std::move(start.fds[kFdControl]));
  if (start.spec.is_spare) servable->WarmUp(kWarmUpMax);
  // By now the agent has the process in its control groups. A spare waits here, for as long as nobody needs it.
  ALLOD_TRY(zygote::Assigned assigned, zygote::AwaitAssignment(control));
  const auto assigned_at = steady_clock::now();
  ALLOD_TRY(auto ring, usage::RingMapping::FromFd(assigned.fds[kFdRing].get()));
  recorder.Assign(std::move(ring));
  identity.instance = assigned.members.empty() ? "" : assigned.members.front().instance;
  identity.artifact_sha256 = start.spec.shape.artifact_sha256;
  const auto refused = servable->SetMembers(std::move(assigned.members));
  const Figures figures(*servable, service, recorder, *page);
  if (!sandbox::ConfineSystemCalls(start.serving_filter, start.layers)) {
    Log(LogLevel::kError, "this host gives workers no system call filter");
  }
  if (start.spec.shape.strict) ALLOD_CHECK_OK(sandbox::RequireStrict(start.layers));
  identity.sandbox_layers = start.layers.names();
  // Not before: nobody is served outside of the sandbox.
  std::optional<AcceptLoop> acceptor(std::in_place, std::move(assigned.fds[kFdListen]), "acceptor",
                                     [&server](OwnedFd connection) { server->Adopt(std::move(connection)); });
  std::vector<int> fds;
  if (start.smaps_rollup) fds.push_back(start.smaps_rollup.get());
  ALLOD_CHECK_OK(
      control.Send({{"type", "ready"}, {"layers", start.layers.names()}, {"refused", zygote::ToJson(refused)}}, fds));
  start.smaps_rollup.Reset();
  Log(LogLevel::kInfo, "serving",
      {{"engine_ms", Milliseconds(engine_at - started_at)},
       {"server_ms", Milliseconds(server_at - engine_at)},
       {"waited_ms", Milliseconds(assigned_at - server_at)},
       {"assigned_ms", Milliseconds(steady_clock::now() - assigned_at)}});
  const milliseconds drain = Obey(control, *servable, figures);
  acceptor.reset();  // who comes now waits for the next worker
  std::jthread drainer([&] { service.Drain(drain, kDrain, [&] { figures.Show(); }); });
  server->Stop(drain + kLastWords);
  return {};
}

}  // namespace

Status PrepareForForks() { return CheckServices({v1::WorkerService::service_full_name()}); }

int ExitWith(const Error& error, int status) {
  const nlohmann::json line = {{"code", CodeName(error.code)}, {"reason", error.reason}, {"message", error.message}};
  std::cerr << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  return status;
}

int ServeInstance(const MakeServable& make, zygote::WorkerStart start) {
  std::signal(SIGPIPE, SIG_IGN);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) == 0) {
    pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
  if (const Status served = Serve(make, start); !served) {
    // A spare that nobody wanted, or whose agent is gone.
    if (served.error().reason == "CHANNEL_CLOSED") return 0;
    return ExitWith(served.error(), served.error().reason == "MODEL_NOT_GENERATIVE" ? kExitModel : kExitFailed);
  }
  return 0;
}

}  // namespace allod::inference::worker
