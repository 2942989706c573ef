#include "gateway/openai/answer_writer.h"

#include "gateway/http/error.h"

namespace allod::gateway {

HttpResponse OpenAiFailure(const Error& error, const std::string& param, const HttpHeaders& headers) {
  HttpResponse out = ErrorResponse(ErrorStyle::kOpenAi, error, param);
  out.headers.insert(out.headers.end(), headers.begin(), headers.end());
  return out;
}

}  // namespace allod::gateway
