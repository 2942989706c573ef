// The worker's messages to the values of ports/ and back.
#pragma once

#include "allod/inference/v1/worker.pb.h"
#include "inference/ports/embedding.h"
#include "inference/ports/generation.h"
#include "services/common/result.h"

namespace allod::inference::worker {

// INVALID_ARGUMENT / INVALID_PROMPT when there is neither chat nor text. Other checks are the servable's.
Result<ports::GenerationRequest> FromProto(const v1::GenerateRequest& request);

ports::EmbeddingRequest FromProto(const v1::EmbedRequest& request);

v1::GenerateResponse ToProto(ports::Event event);
v1::EmbedResponse ToProto(const ports::Embeddings& embeddings);

}  // namespace allod::inference::worker
