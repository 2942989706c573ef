#include "gateway/openai/answer_writer.h"

#include "gateway/http/error.h"

namespace allod::gateway::openai {

http::Response OpenAiFailure(const Error& error, const std::string& param, const http::Headers& headers) {
  http::Response out = http::ErrorResponse(http::ErrorStyle::kOpenAi, error, param);
  out.headers.insert(out.headers.end(), headers.begin(), headers.end());
  return out;
}

}  // namespace allod::gateway::openai
