#include "gateway/openai/handlers.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/openai/embedding.h"
#include "gateway/openai/generation.h"
#include "gateway/openai/parameters.h"

namespace allod::gateway::openai {
namespace {

// Log probabilities that a whole answer may collect here before it is sent.
constexpr std::int64_t kLogprobsMax = 1 << 17;

AnswerHead ToAnswerHead(const http::Request& request, const Request& parsed) {
  AnswerHead head;
  head.chat = parsed.chat;
  head.id = request.id.ToString();
  std::erase(head.id, '-');
  head.id = (parsed.chat ? "chatcmpl-" : "cmpl-") + head.id;
  head.created = std::chrono::duration_cast<std::chrono::seconds>(request.receive_time.time_since_epoch()).count();
  head.model = parsed.model;
  head.include_usage = parsed.include_usage;
  return head;
}

// A whole answer is kept in memory until it is complete. What passes keeps its length, also if the instance is updated
// to a longer context while it waits.
http::ParamResult<void> CheckCollectable(Request& parsed, std::int64_t context_tokens) {
  auto& generate = parsed.generate;
  if (parsed.stream || !generate.logprobs()) return {};
  const std::int64_t each = CompletionTokensMax(generate.max_completion_tokens(), 1, context_tokens);
  generate.set_max_completion_tokens(static_cast<std::int32_t>(each));
  if (each * std::max(generate.choice_count(), 1) * (1 + generate.top_logprobs()) <= kLogprobsMax) return {};
  const std::string param = parsed.chat ? "top_logprobs" : "logprobs";
  return http::BadParam(
      param, "OUT_OF_RANGE",
      fmt::format("{}: n * max_tokens * (1 + {}) must be at most {} in an answer that is not streamed", param, param,
                  kLogprobsMax));
}

// What is different of the two kinds of request before they run: their name in metrics, what the instance must allow,
// and what the worker is sent.
std::string_view OperationOf(const Request& parsed) { return parsed.chat ? "chat" : "text_completion"; }
std::string_view OperationOf(const EmbeddingRequest&) { return "embeddings"; }
http::ParamResult<void> CheckOn(const serving::InstanceRoute& route, Request& parsed) {
  ALLOD_CHECK_OK(CheckChoices(parsed.generate.choice_count(), route.max_concurrency));
  return CheckCollectable(parsed, route.context_tokens);
}
http::ParamResult<void> CheckOn(const serving::InstanceRoute&, EmbeddingRequest&) { return {}; }
inference::v1::GenerateRequest& WorkerRequestOf(Request& parsed) { return parsed.generate; }
inference::v1::EmbedRequest& WorkerRequestOf(EmbeddingRequest& parsed) { return parsed.embed; }

http::ParamResult<void> AboutAll(Status status) {
  if (!status) return std::unexpected(http::ParamError{std::move(status).error(), ""});
  return {};
}

template <typename T>
http::ParamResult<T> About(std::string param, Result<T> result) {
  if (!result) return std::unexpected(http::ParamError{std::move(result).error(), std::move(param)});
  return *std::move(result);
}

}  // namespace

http::Awaitable<void> Handlers::Refuse(const Call& call, const http::ParamError& error) {
  http::Response refusal = OpenAiFailure(error.error, error.param, call.headers);
  co_await call.out.Send(std::move(refusal));
}

Status Handlers::CheckResidency(const serving::InstanceRoute& route) const {
  const std::string why = WhyOutside(route.residency, DataClass::kPrompts, context_.jurisdiction);
  if (why.empty()) return {};
  return FailedPrecondition("RESIDENCY",
                            fmt::format("this gateway stands in jurisdiction {}, {}; what was sent is not kept: ask a "
                                        "gateway that stands elsewhere",
                                        context_.jurisdiction, why));
}

template <typename Parsed>
http::ParamResult<Handlers::Admitted<Parsed>> Handlers::Admit(
    Call& call, http::ParamResult<Parsed> (*parse)(std::string_view body)) {
  http::Request& request = call.request;
  ALLOD_TRY(call.permit, About("", admission_.Admit(call.principal, std::chrono::steady_clock::now(), call.headers)));
  ALLOD_TRY(Parsed parsed, parse(request.body));
  request.body = std::string();
  ALLOD_TRY(const auto route, About("model", FindModel(call.principal, parsed.model)));
  ALLOD_CHECK_OK(AboutAll(CheckResidency(*route)));
  ALLOD_CHECK_OK(AboutAll(admission_.AdmitTo(route->instance, call.principal, std::chrono::steady_clock::now(),
                                             call.permit, call.headers)));
  ALLOD_CHECK_OK(CheckOn(*route, parsed));
  ALLOD_TRY(metering::MeteredRequest metered,
            About("", metering::MeteredRequest::Admit(
                          journal_, settler_,
                          {request.id, call.principal.tenant, route->instance, std::chrono::system_clock::now()},
                          OperationOf(parsed))));
  auto& for_worker = WorkerRequestOf(parsed);
  for_worker.set_request_id(request.id.ToString());
  for_worker.set_tenant_uid(Uuid::FromName(TenantOf(route->instance)).ToString());
  for_worker.set_instance(route->instance);
  return Admitted<Parsed>{{route, std::move(metered)}, std::move(parsed)};
}

http::Awaitable<void> Handlers::Run(Call& call, Admission& admission, serving::WorkerJob& job) {
  serving::MeteredRun run(context_, admission.route, admission.metered, job, call.out);
  serving::Hold::Owner owner{call.request.id.ToString(), call.principal.tenant, call.principal.name,
                             admission.route->instance};
  co_await run.Run(std::move(owner));
  call.permit.ChargeTokens(job.spent().total(), std::chrono::steady_clock::now());
}

http::Awaitable<void> Handlers::ChatCompletions(const access::Principal& principal, http::Request& request,
                                                http::ResponseWriter& out) {
  return Generate({principal, request, out}, ParseChatRequest);
}

http::Awaitable<void> Handlers::Completions(const access::Principal& principal, http::Request& request,
                                            http::ResponseWriter& out) {
  return Generate({principal, request, out}, ParseCompletionRequest);
}

http::Awaitable<void> Handlers::Generate(Call call, http::ParamResult<Request> (*parse)(std::string_view body)) {
  http::ParamResult<Admitted<Request>> admitted = Admit(call, parse);
  if (!admitted) {
    co_await Refuse(call, admitted.error());
    co_return;
  }
  Request& parsed = admitted->parsed;
  AnswerTarget target{ToAnswerHead(call.request, parsed), call.headers, std::max(parsed.generate.choice_count(), 1),
                      admitted->metered, call.out};
  const std::unique_ptr<AnswerWriter> answer =
      parsed.stream ? MakeStreamAnswer(std::move(target)) : MakeWholeAnswer(std::move(target));
  Generation generation(std::move(parsed.generate), call.request.trace, *answer,
                        telemetry::MetricsOf(admitted->route->instance));
  co_await Run(call, *admitted, generation);
}

http::Awaitable<void> Handlers::Embeddings(const access::Principal& principal, http::Request& request,
                                           http::ResponseWriter& out) {
  Call call{principal, request, out};
  http::ParamResult<Admitted<EmbeddingRequest>> admitted = Admit(call, ParseEmbeddingRequest);
  if (!admitted) {
    co_await Refuse(call, admitted.error());
    co_return;
  }
  Embedding embedding(std::move(admitted->parsed), call.headers, admitted->metered,
                      telemetry::MetricsOf(admitted->route->instance), out);
  co_await Run(call, *admitted, embedding);
}

}  // namespace allod::gateway::openai
