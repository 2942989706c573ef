// allod-worker: the zygote of one language model and, forked from it, its workers. Exit status: 0 its agent is gone; 2
// usage; 3 the model is missing, damaged or cannot be served (the last line on standard error is
// {"code","reason","message"}); 1 anything else, with the same line.

#include <fcntl.h>
#include <malloc.h>

#include <chrono>
#include <memory>
#include <string>
#include <variant>

#include "inference/engine/llama_assets.h"
#include "inference/engine/llama_engine.h"
#include "inference/model/llama_gguf.h"
#include "inference/model/llama_runtime.h"
#include "inference/worker/engine_options.h"
#include "inference/worker/model_digest.h"
#include "inference/worker/options.h"
#include "inference/worker/serve.h"
#include "inference/zygote/zygote.h"
#include "services/common/log.h"
#include "services/common/owned_fd.h"

namespace allod::inference::worker {
namespace {

Result<model::CheckedModel> OpenModel(const Options& options) {
  ALLOD_CHECK_OK(CheckDigest(kModelFd, options.sha256));
  return model::LoadCheckedModel(kModelFd, {.private_weights = options.private_weights});
}

int Run(const Options& options) {
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  OwnedFd model_file(kModelFd);
  // While there is a file system: this loads the libraries of the processor's backend.
  if (const Status ready = model::InitLlama(); !ready) return ExitWith(ready.error(), kExitFailed);
  auto zygote = zygote::Zygote::Enter(zygote::Channel(OwnedFd(kControlFd)), {.strict = options.strict});
  if (!zygote) return ExitWith(zygote.error(), kExitFailed);

  const auto start = std::chrono::steady_clock::now();
  const auto model = OpenModel(options);
  if (!model) return ExitWith(model.error(), kExitModel);
  const auto assets = engine::ModelAssets::Create(*model->model);
  if (!assets) return ExitWith(assets.error(), kExitModel);
  model_file.Reset();
  if (const Status prepared = PrepareForForks(); !prepared) return ExitWith(prepared.error(), kExitFailed);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const model::ModelFacts& model_facts = (*assets)->facts();
  // F16 keys and values of all layers and heads: models with fewer key heads need less.
  const std::int64_t kv_bytes = std::int64_t{4} * model_facts.layers * model_facts.embedding;
  if (const Status said = zygote->AnnounceResident({{"load_seconds", seconds}, {"kv_bytes_per_token_max", kv_bytes}});
      !said) {
    return 0;
  }
  const auto make = [&](const zygote::WorkerShape& shape, ports::TurnGate& gate,
                        ports::UsageRecorder& usage) -> Result<std::unique_ptr<ports::Servable>> {
    engine::EngineOptions engine_options = EngineOptionsOf(shape);
    engine_options.gate = &gate;
    engine_options.usage = &usage;
    return engine::Engine::Create(*model->model, *assets, engine_options);
  };
  const Status served =
      zygote->Serve([&](zygote::WorkerStart worker) { return ServeInstance(make, std::move(worker)); });
  return served ? 0 : ExitWith(served.error(), kExitFailed);
}

}  // namespace
}  // namespace allod::inference::worker

int main(int argc, char** argv) {
  // One arena for all threads: each further one would be private memory of every instance. Said before the model is
  // read, which takes threads: malloc remembers how many there may be from the first of them on.
  mallopt(M_ARENA_MAX, 1);
  const auto options = allod::inference::worker::ParseOptions(argc, argv);
  if (const int* status = std::get_if<int>(&options)) return *status;
  allod::InitLog("worker");
  return allod::inference::worker::Run(std::get<allod::inference::worker::Options>(options));
}
