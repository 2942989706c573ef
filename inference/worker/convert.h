// The worker's messages to the engine's own terms and back.
#pragma once

#include "allod/inference/v1/worker.pb.h"
#include "inference/engine/llama_engine.h"
#include "inference/engine/request/generation.h"
#include "services/common/result.h"

namespace allod::inference::worker {

// INVALID_ARGUMENT / INVALID_PROMPT when there is neither chat nor text. Other checks are the engine's.
Result<engine::request::GenerationRequest> FromProto(const v1::GenerateRequest& request);

engine::EmbeddingRequest FromProto(const v1::EmbedRequest& request);

v1::GenerateResponse ToProto(engine::request::Event event);
v1::EmbedResponse ToProto(const engine::Embeddings& embeddings);

}  // namespace allod::inference::worker
