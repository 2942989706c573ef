#include "gateway/openai_handlers.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/http_error.h"

namespace allod::gateway {
namespace {

constexpr std::string_view kModelsPrefix = "/v1/models/";
// How long past a request's own limit its money stays held if this gateway dies and does not come back.
constexpr std::chrono::hours kHoldAfterTimeout(1);

ModelEntry ToModelEntry(const InstanceRoute& route, const Principal& principal) {
  return {route.instance.substr(route.instance.rfind('/') + 1), route.create_time, principal.tenant_id};
}

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

billing::v1::ReserveRequest ToReserve(const HttpRequest& request, const Principal& principal,
                                      const InstanceRoute& route, std::int64_t completion_tokens_max,
                                      const HttpServerConfig& config) {
  billing::v1::ReserveRequest out;
  out.set_request_id(request.id.ToString());
  out.set_tenant(principal.tenant);
  out.set_instance(route.instance);
  out.set_variant(route.variant);
  out.set_price_book(route.price_book);
  out.set_api_key(principal.key_name);
  out.set_prompt_tokens_max(route.context_tokens);
  out.set_completion_tokens_max(completion_tokens_max);
  const Time expire = request.receive_time + std::chrono::milliseconds(config.request_timeout_ms) + kHoldAfterTimeout;
  out.mutable_expire_time()->set_seconds(
      std::chrono::duration_cast<std::chrono::seconds>(expire.time_since_epoch()).count());
  return out;
}

std::unexpected<ParamError> About(Error error, std::string param = {}) {
  return std::unexpected(ParamError{std::move(error), std::move(param)});
}

}  // namespace

Result<Principal> OpenAiHandlers::Authorise(const HttpRequest& request) const {
  ALLOD_TRY(Principal principal, keys_.Authenticate(request.Header("authorization")));
  if (!principal.inference) {
    return Fail(Code::kPermissionDenied, "SCOPE_MISSING", "this API key does not have the scope SCOPE_INFERENCE");
  }
  return principal;
}

Result<std::shared_ptr<const InstanceRoute>> OpenAiHandlers::FindModel(const Principal& principal,
                                                                       const std::string& model) const {
  if (!context_.routes.synced()) {
    return Fail(Code::kUnavailable, "ROUTES_NOT_SYNCED",
                "the gateway is still fetching its routes; try again in a second");
  }
  const std::string prefix = principal.project + "/instances/";
  const bool full_name = model.starts_with("tenants/");
  std::shared_ptr<const InstanceRoute> route;
  if (!full_name || model.starts_with(prefix)) route = context_.routes.Find(full_name ? model : prefix + model);
  if (!route) {
    return Fail(
        Code::kNotFound, "MODEL_NOT_FOUND",
        fmt::format("the project has no instance \"{}\"; see GET /v1/models for those it has", model.substr(0, 300)));
  }
  return route;
}

ParamResult<OpenAiHandlers::Admitted> OpenAiHandlers::Admit(const HttpRequest& request, bool chat,
                                                            HttpHeaders& headers) {
  auto principal = Authorise(request);
  if (!principal) return About(principal.error());
  auto permit = limiter_.Admit(principal->kid, std::chrono::steady_clock::now(), headers);
  if (!permit) return About(permit.error());
  ALLOD_TRY(OpenAiRequest parsed, chat ? ParseChatRequest(request.body) : ParseCompletionRequest(request.body));
  auto route = FindModel(*principal, parsed.model);
  if (!route) return About(route.error(), "model");
  auto metered = MeteredRequest::Admit(journal_, settler_,
                                       {request.id, principal->tenant, (*route)->instance, request.receive_time});
  if (!metered) return About(metered.error());
  return Admitted{*std::move(principal), std::move(parsed), *std::move(route), *std::move(permit), *std::move(metered)};
}

Awaitable<void> OpenAiHandlers::Generate(HttpRequest& request, ResponseWriter& out, bool chat) {
  HttpHeaders headers;
  ParamResult<Admitted> admitted = Admit(request, chat, headers);
  if (!admitted) {
    HttpResponse refusal = OpenAiFailure(admitted.error().error, admitted.error().param, headers);
    co_await out.Send(std::move(refusal));
    co_return;
  }
  request.body.clear();
  request.body.shrink_to_fit();
  const AnswerHead head = ToAnswerHead(request, admitted->request);
  const std::unique_ptr<AnswerWriter> answer = admitted->request.stream
                                                   ? MakeStreamAnswer(head, headers, admitted->metered, out)
                                                   : MakeWholeAnswer(head, headers, admitted->metered, out);
  const billing::v1::ReserveRequest reserve =
      ToReserve(request, admitted->principal, *admitted->route,
                CompletionTokensMax(admitted->request.generate, *admitted->route), context_.config.http);
  Generation generation(context_, admitted->route, std::move(admitted->request.generate), admitted->metered, *answer,
                        out);
  co_await generation.Run(reserve);
  admitted->permit.ChargeTokens(admitted->metered.prompt_tokens() + admitted->metered.delivered(),
                                std::chrono::steady_clock::now());
}

Awaitable<void> OpenAiHandlers::ChatCompletions(HttpRequest& request, ResponseWriter& out) {
  co_await Generate(request, out, true);
}

Awaitable<void> OpenAiHandlers::Completions(HttpRequest& request, ResponseWriter& out) {
  co_await Generate(request, out, false);
}

Awaitable<void> OpenAiHandlers::ListModels(HttpRequest& request, ResponseWriter& out) {
  const Result<Principal> principal = Authorise(request);
  HttpResponse response;
  if (!principal) {
    response = ErrorResponse(ErrorStyle::kOpenAi, principal.error());
  } else {
    std::vector<ModelEntry> models;
    for (const auto& route : context_.routes.List(principal->project))
      models.push_back(ToModelEntry(*route, *principal));
    response.body = ModelListJson(models);
  }
  co_await out.Send(std::move(response));
}

Awaitable<void> OpenAiHandlers::RetrieveModel(HttpRequest& request, ResponseWriter& out) {
  const auto find = [&]() -> Result<std::string> {
    ALLOD_TRY(const Principal principal, Authorise(request));
    ALLOD_TRY(const std::string model,
              PercentDecode("model", std::string_view(request.path).substr(kModelsPrefix.size())));
    ALLOD_TRY(const auto route, FindModel(principal, model));
    return ModelJson(ToModelEntry(*route, principal));
  };
  Result<std::string> body = find();
  HttpResponse response;
  if (body) {
    response.body = *std::move(body);
  } else {
    response =
        ErrorResponse(ErrorStyle::kOpenAi, body.error(), body.error().reason == "MODEL_NOT_FOUND" ? "model" : "");
  }
  co_await out.Send(std::move(response));
}

}  // namespace allod::gateway
