// The OpenAI-compatible endpoints: what is asked for, and whether it may be now; then a MeteredRun does it.
#pragma once

#include "gateway/access/principal.h"
#include "gateway/access/rate_limiter.h"
#include "gateway/http/response_writer.h"
#include "gateway/openai/embedding_request.h"
#include "gateway/openai/request.h"
#include "gateway/serving/metered_run.h"

namespace allod::gateway::openai {

class Handlers {
 public:
  // All references must outlive the handlers.
  Handlers(access::RateLimiter& limiter, metering::Journal& journal, metering::Settler& settler,
           serving::Context& context)
      : limiter_(limiter), journal_(journal), settler_(settler), context_(context) {}

  http::Awaitable<void> ChatCompletions(const access::Principal& principal, http::Request& request,
                                        http::ResponseWriter& out);
  http::Awaitable<void> Completions(const access::Principal& principal, http::Request& request,
                                    http::ResponseWriter& out);
  http::Awaitable<void> Embeddings(const access::Principal& principal, http::Request& request,
                                   http::ResponseWriter& out);
  http::Awaitable<void> ListModels(const access::Principal& principal, http::Request& request,
                                   http::ResponseWriter& out);
  // GET /v1/models/{id}; the id may contain '/'.
  http::Awaitable<void> RetrieveModel(const access::Principal& principal, http::Request& request,
                                      http::ResponseWriter& out);

 private:
  // Who asks, and the place that the request has among those of its key.
  struct Caller {
    const access::Principal& principal;
    access::RateLimiter::Permit permit;
  };
  // `headers` gets what every response of a metered endpoint carries.
  Result<Caller> Enter(const access::Principal& principal, http::Headers& headers);
  // `model` is an instance's id in the key's project, or its full name. NOT_FOUND / MODEL_NOT_FOUND.
  Result<std::shared_ptr<const serving::InstanceRoute>> FindModel(const access::Principal& principal,
                                                                  const std::string& model) const;

  http::Awaitable<void> Generate(const access::Principal& principal, http::Request& request, http::ResponseWriter& out,
                                 bool chat);
  // Once all questions are answered. `headers` as above.
  http::Awaitable<void> RunGeneration(http::Request& request, http::ResponseWriter& out, Request& parsed,
                                      Caller& caller, std::shared_ptr<const serving::InstanceRoute> route,
                                      const http::Headers& headers);
  http::Awaitable<void> RunEmbedding(http::Request& request, http::ResponseWriter& out, EmbeddingRequest& parsed,
                                     Caller& caller, std::shared_ptr<const serving::InstanceRoute> route,
                                     const http::Headers& headers);
  static http::Awaitable<void> Refuse(const http::ParamError& error, const http::Headers& headers,
                                      http::ResponseWriter& out);

  access::RateLimiter& limiter_;
  metering::Journal& journal_;
  metering::Settler& settler_;
  serving::Context& context_;
};

}  // namespace allod::gateway::openai
