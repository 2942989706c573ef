// The OpenAI-compatible endpoints: what is asked for, and whether it may be now; then a MeteredRun does it.
#pragma once

#include "gateway/access/admission.h"
#include "gateway/access/principal.h"
#include "gateway/http/response_writer.h"
#include "gateway/openai/embedding_request.h"
#include "gateway/openai/request.h"
#include "gateway/serving/metered_run.h"

namespace allod::gateway::openai {

class Handlers {
 public:
  // All references must outlive the handlers.
  Handlers(access::Admission& admission, metering::Journal& journal, metering::Settler& settler,
           serving::Context& context)
      : admission_(admission), journal_(journal), settler_(settler), context_(context) {}

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
  // A metered request while it is handled.
  struct Call {
    const access::Principal& principal;
    http::Request& request;
    http::ResponseWriter& out;
    http::Headers headers{};             // of every response to it
    access::Admission::Permit permit{};  // its place among those of its principal
  };
  // What it has when all was asked and it may run.
  struct Admission {
    std::shared_ptr<const serving::InstanceRoute> route;
    metering::MeteredRequest metered;
  };
  template <typename Parsed>
  struct Admitted : Admission {
    Parsed parsed;  // with what the worker is told of the request
  };

  // Takes the request's place, then asks in turn what it wants, of which model, and whether the journal has room.
  template <typename Parsed>
  http::ParamResult<Admitted<Parsed>> Admit(Call& call, http::ParamResult<Parsed> (*parse)(std::string_view body));
  // `model` is an instance's id in the principal's project, or its full name. NOT_FOUND / MODEL_NOT_FOUND.
  Result<std::shared_ptr<const serving::InstanceRoute>> FindModel(const access::Principal& principal,
                                                                  const std::string& model) const;
  // Whether the tenant's prompts may be where this gateway stands. FAILED_PRECONDITION / RESIDENCY.
  Status CheckResidency(const serving::InstanceRoute& route) const;
  http::Awaitable<void> Generate(Call call, http::ParamResult<Request> (*parse)(std::string_view body));
  // To its end; charges what it cost.
  http::Awaitable<void> Run(Call& call, Admission& admission, serving::WorkerJob& job);
  static http::Awaitable<void> Refuse(const Call& call, const http::ParamError& error);

  access::Admission& admission_;
  metering::Journal& journal_;
  metering::Settler& settler_;
  serving::Context& context_;
};

}  // namespace allod::gateway::openai
