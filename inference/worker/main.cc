// allod-worker: one process that answers for one instance. Exit status: 0 stopped by a signal; 2 usage; 3 the model is
// missing, damaged or cannot be served (the last line on standard error is {"code","reason","message"}); 1 anything
// else, with the same line.

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "inference/llama_engine.h"
#include "inference/llama_runtime.h"
#include "inference/worker/model_file.h"
#include "inference/worker/options.h"
#include "inference/worker/process_limits.h"
#include "inference/worker/worker_service.h"
#include "services/common/log.h"
#include "services/common/rpc/server.h"
#include "services/common/service_main.h"

namespace allod::inference::worker {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitModel = 3;
constexpr std::chrono::milliseconds kDrain{1900};
// Past the drain nothing is worth waiting for; a peer that is stopped may keep its connection open for ever.
constexpr unsigned kHardStopSeconds = 3;
constexpr std::int32_t kQueuedPerSequence = 8;

int Exit(const Error& error, int status) {
  const nlohmann::json line = {{"code", CodeName(error.code)}, {"reason", error.reason}, {"message", error.message}};
  std::cerr << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  return status;
}

Result<LlamaModelPtr> OpenModel(const Options& options) {
  if (!options.skip_digest) ALLOD_CHECK_OK(CheckDigest(options.model, options.sha256));
  return LoadChecked(options.model);
}

Result<std::unique_ptr<Engine>> StartEngine(llama_model& model, const Options& options) {
  EngineOptions engine_options;
  engine_options.context_tokens = options.context_tokens;
  engine_options.max_sequences = options.max_concurrency;
  engine_options.threads = options.threads;
  engine_options.queue_max = options.max_concurrency * kQueuedPerSequence;
  return Engine::Create(model, engine_options);
}

int Run(const Options& options) {
  if (const Status limited = LimitProcess(options.die_with_parent); !limited) return Exit(limited.error(), kExitFailed);
  std::signal(SIGPIPE, SIG_IGN);
  StopSignal stop;
  const auto model = OpenModel(options);
  if (!model) return Exit(model.error(), kExitModel);
  const auto engine = StartEngine(**model, options);
  if (!engine) {
    return Exit(engine.error(), engine.error().reason == "MODEL_NOT_GENERATIVE" ? kExitModel : kExitFailed);
  }
  WorkerServiceImpl service(**engine, {options.instance, options.sha256, LayersInForce()});
  ServerConfig server_config;
  server_config.listen = options.listen;
  // A thread for each generation that runs or waits, and some for status and health.
  server_config.threads_max = options.max_concurrency * (1 + kQueuedPerSequence) + 16;
  const auto server = Server::Start(server_config, {&service});
  if (!server) return Exit(server.error(), kExitFailed);
  const EngineStatus status = (*engine)->status();
  Log(LogLevel::kInfo, "serving",
      {{"instance", options.instance},
       {"context_tokens", std::to_string(status.context_tokens)},
       {"max_sequences", std::to_string(status.max_sequences)},
       {"threads", options.threads == 0 ? "auto" : std::to_string(options.threads)}});
  stop.Ready();
  stop.Wait();
  std::signal(SIGALRM, [](int) { _exit(0); });
  alarm(kHardStopSeconds);
  (*server)->Stop(kDrain);
  return 0;
}

}  // namespace
}  // namespace allod::inference::worker

int main(int argc, char** argv) {
  const auto options = allod::inference::worker::ParseOptions(argc, argv);
  if (const int* status = std::get_if<int>(&options)) return *status;
  allod::InitLog("worker");
  return allod::inference::worker::Run(std::get<allod::inference::worker::Options>(options));
}
