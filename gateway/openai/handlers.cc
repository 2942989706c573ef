#include "gateway/openai/handlers.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/openai/embedding.h"
#include "gateway/openai/generation.h"

namespace allod::gateway::openai {
namespace {

// How long past a request's own limit its money stays held if this gateway dies and does not come back.
constexpr std::chrono::hours kHoldAfterTimeout(1);
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

// Without its terms.
billing::v1::ReserveRequest ToReserve(const http::Request& request, const access::Principal& principal,
                                      const serving::InstanceRoute& route, std::chrono::milliseconds request_timeout) {
  billing::v1::ReserveRequest out;
  out.set_request_id(request.id.ToString());
  out.set_tenant(principal.tenant);
  out.set_instance(route.instance);
  out.set_api_key(principal.key_name);
  const Time expire = request.receive_time + request_timeout + kHoldAfterTimeout;
  out.mutable_expire_time()->set_seconds(
      std::chrono::duration_cast<std::chrono::seconds>(expire.time_since_epoch()).count());
  return out;
}

// Says who asks for what, in a GenerateRequest or an EmbedRequest.
template <typename WorkerRequest>
void Identify(const http::Request& request, const serving::InstanceRoute& route, WorkerRequest& out) {
  out.set_request_id(request.id.ToString());
  out.set_tenant_uid(Uuid::FromName(TenantOf(route.instance)).ToString());
  out.set_instance(route.instance);
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

}  // namespace

http::Awaitable<void> Handlers::Refuse(const http::ParamError& error, const http::Headers& headers,
                                       http::ResponseWriter& out) {
  http::Response refusal = OpenAiFailure(error.error, error.param, headers);
  co_await out.Send(std::move(refusal));
}

Result<Handlers::Caller> Handlers::Enter(const http::Request& request, http::Headers& headers) {
  ALLOD_TRY(access::Principal principal, Authorise(request));
  ALLOD_TRY(access::RateLimiter::Permit permit,
            limiter_.Admit(principal.kid, std::chrono::steady_clock::now(), headers));
  return Caller{std::move(principal), std::move(permit)};
}

http::Awaitable<void> Handlers::Generate(http::Request& request, http::ResponseWriter& out, bool chat) {
  http::Headers headers;
  Result<Caller> caller = Enter(request, headers);
  if (!caller) {
    const http::ParamError refusal{caller.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  http::ParamResult<Request> parsed = chat ? ParseChatRequest(request.body) : ParseCompletionRequest(request.body);
  if (!parsed) {
    co_await Refuse(parsed.error(), headers, out);
    co_return;
  }
  request.body = std::string();
  Result<std::shared_ptr<const serving::InstanceRoute>> route = FindModel(caller->principal, parsed->model);
  if (!route) {
    const http::ParamError refusal{route.error(), "model"};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  const std::shared_ptr<const serving::InstanceRoute> found = *std::move(route);
  co_await RunGeneration(request, out, *parsed, *caller, found, headers);
}

http::Awaitable<void> Handlers::RunGeneration(http::Request& request, http::ResponseWriter& out, Request& parsed,
                                              Caller& caller, std::shared_ptr<const serving::InstanceRoute> route,
                                              const http::Headers& headers) {
  const http::ParamResult<void> collectable = CheckCollectable(parsed, route->context_tokens);
  if (!collectable) {
    co_await Refuse(collectable.error(), headers, out);
    co_return;
  }
  Result<metering::MeteredRequest> metered = metering::MeteredRequest::Admit(
      journal_, settler_, {request.id, caller.principal.tenant, route->instance, std::chrono::system_clock::now()},
      parsed.chat ? "chat" : "text_completion");
  if (!metered) {
    const http::ParamError refusal{metered.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  const int choice_count = std::max(parsed.generate.choice_count(), 1);
  AnswerHead head = ToAnswerHead(request, parsed);
  const std::unique_ptr<AnswerWriter> answer =
      parsed.stream ? MakeStreamAnswer(std::move(head), headers, choice_count, *metered, out)
                    : MakeWholeAnswer(std::move(head), headers, choice_count, *metered, out);
  billing::v1::ReserveRequest reserve = ToReserve(request, caller.principal, *route, context_.request_timeout);
  Identify(request, *route, parsed.generate);
  Generation generation(std::move(parsed.generate), request.trace, *answer, telemetry::MetricsOf(route->instance));
  serving::MeteredRun run(context_, route, *metered, generation, out);
  co_await run.Run(std::move(reserve));
  caller.permit.ChargeTokens(generation.spent().total(), std::chrono::steady_clock::now());
}

http::Awaitable<void> Handlers::ChatCompletions(http::Request& request, http::ResponseWriter& out) {
  return Generate(request, out, true);
}

http::Awaitable<void> Handlers::Completions(http::Request& request, http::ResponseWriter& out) {
  return Generate(request, out, false);
}

http::Awaitable<void> Handlers::Embeddings(http::Request& request, http::ResponseWriter& out) {
  http::Headers headers;
  Result<Caller> caller = Enter(request, headers);
  if (!caller) {
    const http::ParamError refusal{caller.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  http::ParamResult<EmbeddingRequest> parsed = ParseEmbeddingRequest(request.body);
  if (!parsed) {
    co_await Refuse(parsed.error(), headers, out);
    co_return;
  }
  request.body = std::string();
  Result<std::shared_ptr<const serving::InstanceRoute>> route = FindModel(caller->principal, parsed->model);
  if (!route) {
    const http::ParamError refusal{route.error(), "model"};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  const std::shared_ptr<const serving::InstanceRoute> found = *std::move(route);
  co_await RunEmbedding(request, out, *parsed, *caller, found, headers);
}

http::Awaitable<void> Handlers::RunEmbedding(http::Request& request, http::ResponseWriter& out,
                                             EmbeddingRequest& parsed, Caller& caller,
                                             std::shared_ptr<const serving::InstanceRoute> route,
                                             const http::Headers& headers) {
  Result<metering::MeteredRequest> metered = metering::MeteredRequest::Admit(
      journal_, settler_, {request.id, caller.principal.tenant, route->instance, std::chrono::system_clock::now()},
      "embeddings");
  if (!metered) {
    const http::ParamError refusal{metered.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  billing::v1::ReserveRequest reserve = ToReserve(request, caller.principal, *route, context_.request_timeout);
  Identify(request, *route, parsed.embed);
  Embedding embedding(std::move(parsed), headers, *metered, telemetry::MetricsOf(route->instance), out);
  serving::MeteredRun run(context_, route, *metered, embedding, out);
  co_await run.Run(std::move(reserve));
  caller.permit.ChargeTokens(embedding.spent().total(), std::chrono::steady_clock::now());
}

}  // namespace allod::gateway::openai
