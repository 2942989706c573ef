#include "gateway/openai/handlers.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/openai/embedding.h"
#include "gateway/openai/generation.h"

namespace allod::gateway {
namespace {

// How long past a request's own limit its money stays held if this gateway dies and does not come back.
constexpr std::chrono::hours kHoldAfterTimeout(1);
// Log probabilities that a whole answer may collect here before it is sent.
constexpr std::int64_t kLogprobsMax = 1 << 17;

AnswerHead ToAnswerHead(const HttpRequest& request, const OpenAiRequest& parsed) {
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
billing::v1::ReserveRequest ToReserve(const HttpRequest& request, const Principal& principal,
                                      const InstanceRoute& route, std::chrono::milliseconds request_timeout) {
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
void Identify(const HttpRequest& request, const InstanceRoute& route, WorkerRequest& out) {
  out.set_request_id(request.id.ToString());
  out.set_tenant_uid(Uuid::FromName(TenantOf(route.instance)).ToString());
  out.set_instance(route.instance);
}

// A whole answer is kept in memory until it is complete. What passes keeps its length, also if the instance is updated
// to a longer context while it waits.
ParamResult<void> CheckCollectable(OpenAiRequest& parsed, std::int64_t context_tokens) {
  auto& generate = parsed.generate;
  if (parsed.stream || !generate.logprobs()) return {};
  const std::int64_t each = CompletionTokensMax(generate.max_completion_tokens(), 1, context_tokens);
  generate.set_max_completion_tokens(static_cast<std::int32_t>(each));
  if (each * std::max(generate.choice_count(), 1) * (1 + generate.top_logprobs()) <= kLogprobsMax) return {};
  const std::string param = parsed.chat ? "top_logprobs" : "logprobs";
  return BadParam(param, "OUT_OF_RANGE",
                  fmt::format("{}: n * max_tokens * (1 + {}) must be at most {} in an answer that is not streamed",
                              param, param, kLogprobsMax));
}

}  // namespace

Awaitable<void> OpenAiHandlers::Refuse(const ParamError& error, const HttpHeaders& headers, ResponseWriter& out) {
  HttpResponse refusal = OpenAiFailure(error.error, error.param, headers);
  co_await out.Send(std::move(refusal));
}

Result<OpenAiHandlers::Caller> OpenAiHandlers::Enter(const HttpRequest& request, HttpHeaders& headers) {
  ALLOD_TRY(Principal principal, Authorise(request));
  ALLOD_TRY(RateLimiter::Permit permit, limiter_.Admit(principal.kid, std::chrono::steady_clock::now(), headers));
  return Caller{std::move(principal), std::move(permit)};
}

Awaitable<void> OpenAiHandlers::Generate(HttpRequest& request, ResponseWriter& out, bool chat) {
  HttpHeaders headers;
  Result<Caller> caller = Enter(request, headers);
  if (!caller) {
    const ParamError refusal{caller.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  ParamResult<OpenAiRequest> parsed = chat ? ParseChatRequest(request.body) : ParseCompletionRequest(request.body);
  if (!parsed) {
    co_await Refuse(parsed.error(), headers, out);
    co_return;
  }
  request.body = std::string();
  Result<std::shared_ptr<const InstanceRoute>> route = FindModel(caller->principal, parsed->model);
  if (!route) {
    const ParamError refusal{route.error(), "model"};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  const std::shared_ptr<const InstanceRoute> found = *std::move(route);
  co_await RunGeneration(request, out, *parsed, *caller, found, headers);
}

Awaitable<void> OpenAiHandlers::RunGeneration(HttpRequest& request, ResponseWriter& out, OpenAiRequest& parsed,
                                              Caller& caller, std::shared_ptr<const InstanceRoute> route,
                                              const HttpHeaders& headers) {
  const ParamResult<void> collectable = CheckCollectable(parsed, route->context_tokens);
  if (!collectable) {
    co_await Refuse(collectable.error(), headers, out);
    co_return;
  }
  Result<MeteredRequest> metered = MeteredRequest::Admit(
      journal_, settler_, {request.id, caller.principal.tenant, route->instance, std::chrono::system_clock::now()},
      parsed.chat ? "chat" : "text_completion");
  if (!metered) {
    const ParamError refusal{metered.error(), ""};
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
  Generation generation(std::move(parsed.generate), *answer, MetricsOf(route->instance));
  MeteredRun run(context_, route, *metered, generation, out);
  co_await run.Run(std::move(reserve));
  caller.permit.ChargeTokens(generation.spent().total(), std::chrono::steady_clock::now());
}

Awaitable<void> OpenAiHandlers::ChatCompletions(HttpRequest& request, ResponseWriter& out) {
  return Generate(request, out, true);
}

Awaitable<void> OpenAiHandlers::Completions(HttpRequest& request, ResponseWriter& out) {
  return Generate(request, out, false);
}

Awaitable<void> OpenAiHandlers::Embeddings(HttpRequest& request, ResponseWriter& out) {
  HttpHeaders headers;
  Result<Caller> caller = Enter(request, headers);
  if (!caller) {
    const ParamError refusal{caller.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  ParamResult<OpenAiEmbeddingRequest> parsed = ParseEmbeddingRequest(request.body);
  if (!parsed) {
    co_await Refuse(parsed.error(), headers, out);
    co_return;
  }
  request.body = std::string();
  Result<std::shared_ptr<const InstanceRoute>> route = FindModel(caller->principal, parsed->model);
  if (!route) {
    const ParamError refusal{route.error(), "model"};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  const std::shared_ptr<const InstanceRoute> found = *std::move(route);
  co_await RunEmbedding(request, out, *parsed, *caller, found, headers);
}

Awaitable<void> OpenAiHandlers::RunEmbedding(HttpRequest& request, ResponseWriter& out, OpenAiEmbeddingRequest& parsed,
                                             Caller& caller, std::shared_ptr<const InstanceRoute> route,
                                             const HttpHeaders& headers) {
  Result<MeteredRequest> metered = MeteredRequest::Admit(
      journal_, settler_, {request.id, caller.principal.tenant, route->instance, std::chrono::system_clock::now()},
      "embeddings");
  if (!metered) {
    const ParamError refusal{metered.error(), ""};
    co_await Refuse(refusal, headers, out);
    co_return;
  }
  billing::v1::ReserveRequest reserve = ToReserve(request, caller.principal, *route, context_.request_timeout);
  Identify(request, *route, parsed.embed);
  Embedding embedding(std::move(parsed), headers, *metered, MetricsOf(route->instance), out);
  MeteredRun run(context_, route, *metered, embedding, out);
  co_await run.Run(std::move(reserve));
  caller.permit.ChargeTokens(embedding.spent().total(), std::chrono::steady_clock::now());
}

}  // namespace allod::gateway
