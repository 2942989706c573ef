// Which models there are for whom.
#include <fmt/format.h>

#include "gateway/http/error.h"
#include "gateway/openai/handlers.h"
#include "gateway/openai/response.h"
#include "services/common/percent.h"

namespace allod::gateway::openai {
namespace {

constexpr std::string_view kModelsPrefix = "/v1/models/";

std::unexpected<Error> NotSynced(std::string message) {
  Error error{Code::kUnavailable, "ROUTES_NOT_SYNCED", std::move(message)};
  error.retry_after = std::chrono::milliseconds(500);
  return std::unexpected(std::move(error));
}

ModelEntry ToModelEntry(const serving::InstanceRoute& route, const access::Principal& principal) {
  return {route.instance.substr(route.instance.rfind('/') + 1), route.create_time, principal.tenant_id};
}

}  // namespace

Result<std::shared_ptr<const serving::InstanceRoute>> Handlers::FindModel(const access::Principal& principal,
                                                                          const std::string& model) const {
  if (!context_.routes.synced()) {
    return NotSynced("the gateway is still fetching its routes; try again in a second");
  }
  // Asked before the look-up: a stream that breaks in between has brought what was there before.
  const bool current = context_.routes.current();
  const std::string prefix = principal.project + "/instances/";
  const bool full_name = model.starts_with("tenants/");
  std::shared_ptr<const serving::InstanceRoute> route;
  const std::string instance = full_name ? model : prefix + model;
  // To it the others do not exist.
  if (instance.starts_with(prefix) && principal.Reaches(instance)) route = context_.routes.Find(instance);
  if (!route && !current) {
    return NotSynced("the gateway does not know this model, and may not have heard of new ones; try again in a second");
  }
  if (!route) {
    return Fail(
        Code::kNotFound, "MODEL_NOT_FOUND",
        fmt::format("the project has no instance \"{}\"; see GET /v1/models for those it has", model.substr(0, 300)));
  }
  return route;
}

http::Awaitable<void> Handlers::ListModels(const access::Principal& principal, http::Request&,
                                           http::ResponseWriter& out) {
  http::Response response;
  if (!context_.routes.synced()) {
    response =
        http::ErrorResponse(http::ErrorStyle::kOpenAi,
                            NotSynced("the gateway is still fetching its routes; try again in a second").error());
  } else {
    std::vector<ModelEntry> models;
    for (const auto& route : context_.routes.List(principal.project)) {
      if (principal.Reaches(route->instance)) models.push_back(ToModelEntry(*route, principal));
    }
    response.body = ModelListJson(models);
  }
  co_await out.Send(std::move(response));
}

http::Awaitable<void> Handlers::RetrieveModel(const access::Principal& principal, http::Request& request,
                                              http::ResponseWriter& out) {
  const auto find = [&]() -> Result<std::string> {
    ALLOD_TRY(const std::string model,
              PercentDecode("model", std::string_view(request.path).substr(kModelsPrefix.size())));
    ALLOD_TRY(const auto route, FindModel(principal, model));
    return ModelJson(ToModelEntry(*route, principal));
  };
  Result<std::string> body = find();
  http::Response response;
  if (body) {
    response.body = *std::move(body);
  } else {
    response = http::ErrorResponse(http::ErrorStyle::kOpenAi, body.error(),
                                   body.error().reason == "MODEL_NOT_FOUND" ? "model" : "");
  }
  co_await out.Send(std::move(response));
}

}  // namespace allod::gateway::openai
