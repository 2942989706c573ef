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

#include "inference/gate/gate_client.h"
#include "inference/llama_engine.h"
#include "inference/sandbox/confine.h"
#include "inference/usage/ring_recorder.h"
#include "inference/worker/acceptor.h"
#include "inference/worker/worker_service.h"
#include "services/common/log.h"
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

constexpr milliseconds kDrain{1900};
constexpr milliseconds kFiguresEvery{500};
constexpr std::int32_t kQueuedPerSequence = 8;
constexpr std::int32_t kQueueMin = 64;
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

EngineOptions OptionsOf(const zygote::WorkerSpec& spec, TurnGate& gate, UsageRecorder& usage) {
  EngineOptions options;
  options.context_tokens = spec.context_tokens;
  options.max_sequences = spec.max_sequences;
  options.kv_tokens = spec.kv_tokens;
  options.threads = spec.threads;
  options.queue_max = std::max(kQueueMin, spec.max_sequences * kQueuedPerSequence);
  if (spec.chunk_tokens_max > 0) options.chunk_tokens_max = spec.chunk_tokens_max;
  options.gate = &gate;
  options.usage = &usage;
  return options;
}

void ShowFigures(const EngineStatus& status, const usage::RingRecorder& recorder, gate::WorkerPage& page) {
  const auto store = [](auto& field, auto value) {
    field.store(static_cast<std::uint64_t>(std::max<decltype(value)>(0, value)), std::memory_order_relaxed);
  };
  page.active_requests.store(static_cast<std::uint32_t>(std::max(0, status.active_sequences)),
                             std::memory_order_relaxed);
  page.queued_requests.store(static_cast<std::uint32_t>(std::max(0, status.queued_requests)),
                             std::memory_order_relaxed);
  store(page.prompt_tokens_total, status.prompt_tokens_total - status.cached_prompt_tokens_total);
  store(page.cached_prompt_tokens_total, status.cached_prompt_tokens_total);
  store(page.completion_tokens_total, status.sampled_tokens_total);
  store(page.ttft_count, status.first_tokens_total);
  store(page.ttft_us_sum, static_cast<std::int64_t>(status.first_token_seconds_total * 1e6));
  store(page.gate_wait_us, static_cast<std::int64_t>(status.wait_seconds_total * 1e6));
  page.requests_total.store(recorder.closed_total(), std::memory_order_relaxed);
}

// Until the agent says stop or is gone.
void Obey(zygote::Channel& control, Engine& engine, const usage::RingRecorder& recorder, gate::WorkerPage& page) {
  while (true) {
    pollfd fd{control.fd(), POLLIN, 0};
    poll(&fd, 1, static_cast<int>(kFiguresEvery.count()));
    ShowFigures(engine.status(), recorder, page);
    if (fd.revents == 0) continue;
    const auto message = control.Receive(/*wait=*/false);
    if (!message) _exit(0);  // nobody is left to work for
    if (!*message) continue;
    if ((*message)->type() == "stop") return;
    if ((*message)->type() != "members") continue;
    auto members = zygote::MembersFrom((*message)->body.value("members", nlohmann::json::array()));
    const Status set = members ? engine.SetMembers(*std::move(members)) : std::unexpected(members.error());
    if (!set) Log(LogLevel::kError, "the new members were refused", {{"error", set.error().message}});
  }
}

// The agent puts the process into its control groups while it starts, which takes as long; then it may serve.
Status AwaitPermission(zygote::Channel& control) {
  const auto message = control.Receive();
  if (!message) return std::unexpected(message.error());
  if ((*message)->type() == "serve") return {};
  return Internal("the agent said something else before it let the worker serve");
}

Status Serve(llama_model& model, std::shared_ptr<const ModelAssets> assets, zygote::WorkerStart& start) {
  const auto started_at = steady_clock::now();
  sandbox::ConfineBeforeThreads(start.layers);
  ALLOD_TRY(gate::WorkerPage* const page, MapPage(start.fds[kFdPage].get()));
  gate::GateClient gate(*page, start.fds[kFdGate].get());
  ALLOD_TRY(auto ring, usage::RingMapping::FromFd(start.fds[kFdRing].get()));
  usage::RingRecorder recorder(std::move(ring));
  ALLOD_TRY(const auto engine, Engine::Create(model, std::move(assets), OptionsOf(start.spec, gate, recorder)));
  ALLOD_CHECK_OK(engine->SetMembers(start.spec.members));
  const auto engine_at = steady_clock::now();

  sandbox::ConfineResources(start.statm.get(), start.layers);

  WorkerIdentity identity{
      start.spec.members.empty() ? "" : start.spec.members.front().instance, start.spec.artifact_sha256, {}};
  auto layers = start.layers;
  layers.Add(sandbox::kSeccomp);  // what status shows is asked for only after it took effect
  identity.sandbox_layers = layers.names();
  WorkerServiceImpl service(*engine, std::move(identity));
  ServerConfig server_config;
  server_config.threads_max = 32;
  // A gateway sends everything through one connection; how many wait is bounded by the engine's queue.
  server_config.streams_per_connection_max = kStreamsPerConnectionMax;
  server_config.write_buffer_bytes = kWriteBufferBytes;
  ALLOD_TRY(const auto server, Server::Start(server_config, {&service}));

  if (!sandbox::ConfineSystemCalls(start.serving_filter, start.layers)) {
    Log(LogLevel::kError, "this host gives workers no system call filter");
  }
  if (start.spec.strict) ALLOD_CHECK_OK(sandbox::RequireStrict(start.layers));
  const auto server_at = steady_clock::now();
  zygote::Channel control(std::move(start.fds[kFdControl]));
  ALLOD_CHECK_OK(AwaitPermission(control));
  // Not before: nobody is served outside of the sandbox.
  std::optional<Acceptor> acceptor(std::in_place, std::move(start.fds[kFdListen]), *server);
  std::vector<int> fds;
  if (start.smaps_rollup) fds.push_back(start.smaps_rollup.get());
  ALLOD_CHECK_OK(control.Send({{"type", "ready"}, {"layers", start.layers.names()}}, fds));
  start.smaps_rollup.Reset();
  Log(LogLevel::kInfo, "serving",
      {{"engine_ms", Milliseconds(engine_at - started_at)},
       {"server_ms", Milliseconds(server_at - engine_at)},
       {"permission_ms", Milliseconds(steady_clock::now() - server_at)}});
  Obey(control, *engine, recorder, *page);
  acceptor.reset();  // who comes now waits for the next worker
  server->Stop(kDrain);
  return {};
}

}  // namespace

int ExitWith(const Error& error, int status) {
  const nlohmann::json line = {{"code", CodeName(error.code)}, {"reason", error.reason}, {"message", error.message}};
  std::cerr << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  return status;
}

int ServeInstance(llama_model& model, std::shared_ptr<const ModelAssets> assets, zygote::WorkerStart start) {
  std::signal(SIGPIPE, SIG_IGN);
  // One arena for all threads: each further one would be private memory of every instance.
  mallopt(M_ARENA_MAX, 1);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) == 0) {
    pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
  if (const Status served = Serve(model, std::move(assets), start); !served) {
    return ExitWith(served.error(), served.error().reason == "MODEL_NOT_GENERATIVE" ? kExitModel : kExitFailed);
  }
  return 0;
}

}  // namespace allod::inference::worker
