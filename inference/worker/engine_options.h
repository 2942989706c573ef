// What the language engine is made with, by what the node agent asks for. Pure.
#pragma once

#include "inference/engine/llama_engine.h"
#include "inference/zygote/worker_spec.h"

namespace allod::inference::worker {

// Without gate and usage, which are of the process.
engine::EngineOptions EngineOptionsOf(const zygote::WorkerShape& shape);

}  // namespace allod::inference::worker
