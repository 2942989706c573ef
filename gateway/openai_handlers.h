// The OpenAI-compatible endpoints: who asks, what for, whether it may; then a Generation does it.
#pragma once

#include "gateway/api_keys.h"
#include "gateway/generation.h"
#include "gateway/openai_request.h"
#include "gateway/rate_limiter.h"
#include "gateway/response_writer.h"

namespace allod::gateway {

class OpenAiHandlers {
 public:
  // All references must outlive the handlers.
  OpenAiHandlers(const ApiKeyTable& keys, RateLimiter& limiter, Journal& journal, Settler& settler,
                 GenerationContext& context)
      : keys_(keys), limiter_(limiter), journal_(journal), settler_(settler), context_(context) {}

  Awaitable<void> ChatCompletions(HttpRequest& request, ResponseWriter& out);
  Awaitable<void> Completions(HttpRequest& request, ResponseWriter& out);
  Awaitable<void> ListModels(HttpRequest& request, ResponseWriter& out);
  // GET /v1/models/{id}; the id may contain '/'.
  Awaitable<void> RetrieveModel(HttpRequest& request, ResponseWriter& out);

 private:
  // Everything a generation needs, once all questions are answered.
  struct Admitted {
    Principal principal;
    OpenAiRequest request;
    std::shared_ptr<const InstanceRoute> route;
    RateLimiter::Permit permit;
    MeteredRequest metered;
  };
  ParamResult<Admitted> Admit(const HttpRequest& request, bool chat, HttpHeaders& headers);
  Result<Principal> Authorise(const HttpRequest& request) const;
  // `model` is an instance's id in the key's project, or its full name. NOT_FOUND / MODEL_NOT_FOUND.
  Result<std::shared_ptr<const InstanceRoute>> FindModel(const Principal& principal, const std::string& model) const;
  Awaitable<void> Generate(HttpRequest& request, ResponseWriter& out, bool chat);

  const ApiKeyTable& keys_;
  RateLimiter& limiter_;
  Journal& journal_;
  Settler& settler_;
  GenerationContext& context_;
};

}  // namespace allod::gateway
