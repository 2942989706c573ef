// Writes the body of an answer to POST /v1/embeddings. Pure.
#pragma once

#include <string>

#include "allod/inference/v1/worker.pb.h"

namespace allod::gateway::openai {

// `base64`: vectors as little-endian float32 in base64 (RFC 4648, with padding), which openai-node asks for by default.
std::string EmbeddingsJson(const std::string& model, const inference::v1::EmbedResponse& embedded, bool base64);

}  // namespace allod::gateway::openai
