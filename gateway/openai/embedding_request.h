// Parses the body of POST /v1/embeddings straight into the worker's EmbedRequest. Strict like openai/request.h. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/http/json_input.h"

namespace allod::gateway::openai {

// Of a vector, asked for or answered.
inline constexpr std::int64_t kDimensionsMax = 1 << 16;

struct EmbeddingRequest {
  std::string model;
  bool base64 = false;
  inference::v1::EmbedRequest embed;  // without request_id, tenant_uid and instance
};

http::ParamResult<EmbeddingRequest> ParseEmbeddingRequest(std::string_view body);

}  // namespace allod::gateway::openai
