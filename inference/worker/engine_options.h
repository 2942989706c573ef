// What the language engine is made with, by what the node agent asks for. Pure.
#pragma once

#include "inference/engine/llama_engine.h"
#include "inference/zygote/worker_spec.h"

namespace allod::inference::worker {

// Without gate and usage, which are not of the spec.
engine::EngineOptions EngineOptionsOf(const zygote::WorkerSpec& spec);

}  // namespace allod::inference::worker
