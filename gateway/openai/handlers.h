// The OpenAI-compatible endpoints: who asks, what for, whether it may; then a MeteredRun does it.
#pragma once

#include "gateway/access/api_keys.h"
#include "gateway/access/rate_limiter.h"
#include "gateway/http/response_writer.h"
#include "gateway/openai/embedding_request.h"
#include "gateway/openai/request.h"
#include "gateway/serving/metered_run.h"

namespace allod::gateway {

class OpenAiHandlers {
 public:
  // All references must outlive the handlers.
  OpenAiHandlers(const ApiKeyTable& keys, RateLimiter& limiter, Journal& journal, Settler& settler,
                 ServingContext& context)
      : keys_(keys), limiter_(limiter), journal_(journal), settler_(settler), context_(context) {}

  Awaitable<void> ChatCompletions(HttpRequest& request, ResponseWriter& out);
  Awaitable<void> Completions(HttpRequest& request, ResponseWriter& out);
  Awaitable<void> Embeddings(HttpRequest& request, ResponseWriter& out);
  Awaitable<void> ListModels(HttpRequest& request, ResponseWriter& out);
  // GET /v1/models/{id}; the id may contain '/'.
  Awaitable<void> RetrieveModel(HttpRequest& request, ResponseWriter& out);

 private:
  // Who asks, and the place that the request has among those of its key.
  struct Caller {
    Principal principal;
    RateLimiter::Permit permit;
  };
  Result<Principal> Authorise(const HttpRequest& request) const;
  // `headers` gets what every response of a metered endpoint carries.
  Result<Caller> Enter(const HttpRequest& request, HttpHeaders& headers);
  // `model` is an instance's id in the key's project, or its full name. NOT_FOUND / MODEL_NOT_FOUND.
  Result<std::shared_ptr<const InstanceRoute>> FindModel(const Principal& principal, const std::string& model) const;

  Awaitable<void> Generate(HttpRequest& request, ResponseWriter& out, bool chat);
  // Once all questions are answered. `headers` as above.
  Awaitable<void> RunGeneration(HttpRequest& request, ResponseWriter& out, OpenAiRequest& parsed, Caller& caller,
                                std::shared_ptr<const InstanceRoute> route, const HttpHeaders& headers);
  Awaitable<void> RunEmbedding(HttpRequest& request, ResponseWriter& out, OpenAiEmbeddingRequest& parsed,
                               Caller& caller, std::shared_ptr<const InstanceRoute> route, const HttpHeaders& headers);
  static Awaitable<void> Refuse(const ParamError& error, const HttpHeaders& headers, ResponseWriter& out);

  const ApiKeyTable& keys_;
  RateLimiter& limiter_;
  Journal& journal_;
  Settler& settler_;
  ServingContext& context_;
};

}  // namespace allod::gateway
