// The life of a forked worker: engine, server, sandbox, and obedience to the node agent.
#pragma once

#include <memory>

#include "inference/engine/llama_assets.h"
#include "inference/zygote/zygote.h"

struct llama_model;

namespace allod::inference::worker {

// Exit status: 0 it was told to stop or its agent is gone; 1 it could not start (the last line on standard error is
// {"code","reason","message"}); 3 the model cannot be served.
int ServeInstance(llama_model& model, std::shared_ptr<const engine::ModelAssets> assets, zygote::WorkerStart start);

// The line described above; returns `status`.
int ExitWith(const Error& error, int status);

inline constexpr int kExitFailed = 1;
inline constexpr int kExitModel = 3;

}  // namespace allod::inference::worker
