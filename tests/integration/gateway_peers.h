// Small gRPC servers that stand where the gateway's peers stand, in this process: tests say what they answer and see
// what they were asked. Each listens on a Unix socket in the test's directory and can be stopped and started again
// there.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "allod/scheduling/v1/node.grpc.pb.h"
#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/identity.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "services/common/api_key_format.h"
#include "services/common/rpc/server.h"
#include "tests/integration/billing_peer.h"

namespace allod::gateway {

inline constexpr char kPepper[] = "a pepper that only this test knows";
inline constexpr char kProject[] = "tenants/ke/projects/services";
inline constexpr char kInstance[] = "tenants/ke/projects/services/instances/assistant";

// Waits until `check` holds; false after a minute. For what other threads do.
inline bool Eventually(const std::function<bool()>& check) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!check()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

inline void HoldUntilCancelled(const grpc::ServerContext& context) {
  Eventually([&] { return context.IsCancelled(); });
  while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// Gives out the keys it was made with, and is told when they were used.
class TenancyPeer final : public tenancy::v1::ApiKeyService::Service {
 public:
  using Key = tenancy::v1::WatchApiKeysResponse::Key;
  // Returns the key's text; `change` narrows it.
  std::string AddKey(const std::string& project, const std::vector<tenancy::v1::ApiKey::Scope>& scopes,
                     const std::function<void(Key&)>& change = nullptr) {
    const ApiKeyText text = NewApiKey();
    const ApiKeyDigest digest = DigestApiKeySecret(kPepper, text.secret);
    auto& key = *snapshot_.add_keys();
    key.set_name(project + "/apiKeys/" + text.kid);
    key.set_kid(text.kid);
    key.set_digest(std::string(digest.begin(), digest.end()));
    for (const auto scope : scopes) key.add_scopes(scope);
    key.add_roles(Role::ROLE_ADMIN);
    if (change) change(key);
    return FormatApiKey(text);
  }

  // What it tells of a tenant's limits to who connects from now on.
  void SetLimits(const tenancy::v1::TenantLimits& limits) { *snapshot_.add_tenant_limits() = limits; }

  grpc::Status ReportApiKeyUse(grpc::ServerContext*, const tenancy::v1::ReportApiKeyUseRequest* request,
                               tenancy::v1::ReportApiKeyUseResponse*) override {
    const std::lock_guard lock(mutex_);
    for (const auto& use : request->uses()) ++reports_[use.name()];
    return grpc::Status::OK;
  }
  // How often each key was reported as used, by its name.
  std::map<std::string, int> Reports() const {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

  grpc::Status WatchApiKeys(grpc::ServerContext* context, const tenancy::v1::WatchApiKeysRequest*,
                            grpc::ServerWriter<tenancy::v1::WatchApiKeysResponse>* writer) override {
    tenancy::v1::WatchApiKeysResponse message = snapshot_;
    message.set_synced(true);
    writer->Write(message);
    HoldUntilCancelled(*context);
    return grpc::Status::CANCELLED;
  }

 private:
  tenancy::v1::WatchApiKeysResponse snapshot_;
  mutable std::mutex mutex_;
  std::map<std::string, int> reports_;
};

// Of tenants none of which trusts an issuer; says so once it may.
class IdentityPeer final : public tenancy::v1::IdentityService::Service {
 public:
  void Hold() { held_ = true; }
  void Release() { held_ = false; }
  grpc::Status WatchIdentities(grpc::ServerContext* context, const tenancy::v1::WatchIdentitiesRequest*,
                               grpc::ServerWriter<tenancy::v1::WatchIdentitiesResponse>* writer) override {
    Eventually([&] { return !held_ || context->IsCancelled(); });
    tenancy::v1::WatchIdentitiesResponse message;
    message.set_synced(true);
    writer->Write(message);
    HoldUntilCancelled(*context);
    return grpc::Status::CANCELLED;
  }
  grpc::Status AcknowledgeIdentities(grpc::ServerContext*, const tenancy::v1::AcknowledgeIdentitiesRequest*,
                                     tenancy::v1::AcknowledgeIdentitiesResponse*) override {
    return grpc::Status::OK;
  }

 private:
  std::atomic<bool> held_ = false;
};

// Answers what the portal API asks.
class ProjectPeer final : public tenancy::v1::ProjectService::Service {
 public:
  grpc::Status CreateProject(grpc::ServerContext* context, const tenancy::v1::CreateProjectRequest* request,
                             tenancy::v1::Project* response) override {
    const std::lock_guard lock(mutex_);
    last_create = *request;
    last_caller = Caller::From(*context).value_or(Caller::Operator()).ToString();
    if (request->project_id() == "taken") {
      return ToGrpc(
          Error{Code::kAlreadyExists, "ALREADY_EXISTS", "tenants/ke/projects/taken exists with other content"});
    }
    *response = request->project();
    response->set_name(request->parent() + "/projects/" + request->project_id());
    return grpc::Status::OK;
  }
  grpc::Status ListProjects(grpc::ServerContext*, const tenancy::v1::ListProjectsRequest* request,
                            tenancy::v1::ListProjectsResponse* response) override {
    response->add_projects()->set_name(request->parent() + "/projects/page-of-" + std::to_string(request->page_size()));
    return grpc::Status::OK;
  }
  tenancy::v1::CreateProjectRequest last_create;
  std::string last_caller;

 private:
  std::mutex mutex_;
};

// Gives out one route to the targets it was told of.
class RoutePeer final : public scheduling::v1::RouteService::Service {
 public:
  void SetTargets(std::vector<std::string> targets) {
    const std::lock_guard lock(mutex_);
    removed_ = false;
    route_.clear_targets();
    route_.clear_target_jurisdictions();
    for (const std::string& target : targets) {
      route_.add_targets(target);
      route_.add_target_jurisdictions("ke");
    }
    ++version_;
    changed_.notify_all();
  }
  // Another revision of the instance, with workers of its own.
  void Update(const std::function<void(scheduling::v1::Route&)>& change, const std::string& target) {
    {
      const std::lock_guard lock(mutex_);
      change(route_);
    }
    SetTargets({target});
  }

  void Remove() {
    const std::lock_guard lock(mutex_);
    removed_ = true;
    ++version_;
    changed_.notify_all();
  }
  // Whether the gateway has what was sent last.
  bool acknowledged() const {
    const std::lock_guard lock(mutex_);
    return acknowledged_ == version_;
  }

  static scheduling::v1::Route FirstRevision() {
    scheduling::v1::Route route;
    route.set_instance(kInstance);
    route.set_variant("models/m/versions/v1/variants/q4_k_m");
    route.set_price_book("priceBooks/01890000-0000-7000-8000-000000000000");
    route.set_context_tokens(512);
    route.set_isolation_class(scheduling::v1::ISOLATION_CLASS_POOLED);
    route.mutable_residency()->add_jurisdictions("ke");
    return route;
  }

  grpc::Status WatchRoutes(grpc::ServerContext* context, const scheduling::v1::WatchRoutesRequest*,
                           grpc::ServerWriter<scheduling::v1::WatchRoutesResponse>* writer) override {
    int sent = -1;
    std::unique_lock lock(mutex_);
    while (!context->IsCancelled()) {
      if (sent == version_) {
        changed_.wait_for(lock, std::chrono::milliseconds(10));
        continue;
      }
      sent = version_;
      scheduling::v1::WatchRoutesResponse message;
      if (removed_) {
        message.add_removed_instances(route_.instance());
      } else {
        *message.add_routes() = route_;
      }
      message.set_synced(true);
      message.set_version(sent + 1);
      writer->Write(message);
    }
    return grpc::Status::CANCELLED;
  }

  grpc::Status AcknowledgeRoutes(grpc::ServerContext*, const scheduling::v1::AcknowledgeRoutesRequest* request,
                                 scheduling::v1::AcknowledgeRoutesResponse*) override {
    const std::lock_guard lock(mutex_);
    acknowledged_ = static_cast<int>(request->version()) - 1;
    return grpc::Status::OK;
  }

 private:
  mutable std::mutex mutex_;
  bool removed_ = false;
  int acknowledged_ = -1;
  std::condition_variable changed_;
  scheduling::v1::Route route_ = FirstRevision();
  int version_ = 0;
};

// Answers as its script says.
class WorkerPeer final : public inference::v1::WorkerService::Service {
 public:
  using Writer = grpc::ServerWriter<inference::v1::GenerateResponse>;
  using Script = std::function<grpc::Status(grpc::ServerContext&, const inference::v1::GenerateRequest&, Writer&)>;

  using EmbedScript = std::function<grpc::Status(grpc::ServerContext&, const inference::v1::EmbedRequest&,
                                                 inference::v1::EmbedResponse&)>;

  grpc::Status Generate(grpc::ServerContext* context, const inference::v1::GenerateRequest* request,
                        Writer* writer) override {
    ++calls;
    const grpc::Status status = script(*context, *request, *writer);
    if (context->IsCancelled()) ++cancelled;
    return status;
  }

  grpc::Status Embed(grpc::ServerContext* context, const inference::v1::EmbedRequest* request,
                     inference::v1::EmbedResponse* response) override {
    ++calls;
    const grpc::Status status = embed_script(*context, *request, *response);
    embedded += response->embeddings_size();
    if (context->IsCancelled()) ++cancelled;
    return status;
  }

  static void Started(Writer& writer, int prompt_tokens, int cached = 0) {
    inference::v1::GenerateResponse message;
    message.mutable_started()->set_prompt_tokens(prompt_tokens);
    message.mutable_started()->set_cached_prompt_tokens(cached);
    writer.Write(message);
  }
  static bool Delta(Writer& writer, const std::string& text, int tokens, int choice = 0) {
    inference::v1::GenerateResponse message;
    message.mutable_delta()->set_text(text);
    message.mutable_delta()->set_token_count(tokens);
    message.mutable_delta()->set_choice(choice);
    return writer.Write(message);
  }
  static void ChoiceFinished(Writer& writer, int choice, inference::v1::FinishReason reason) {
    inference::v1::GenerateResponse message;
    message.mutable_choice_finished()->set_choice(choice);
    message.mutable_choice_finished()->set_reason(reason);
    writer.Write(message);
  }
  static void Finished(Writer& writer, inference::v1::FinishReason reason) {
    inference::v1::GenerateResponse message;
    message.mutable_finished()->set_reason(reason);
    writer.Write(message);
  }
  // Seven prompt tokens, "Habari ya asubuhi" in three tokens.
  static grpc::Status Greet(grpc::ServerContext&, const inference::v1::GenerateRequest&, Writer& writer) {
    Started(writer, 7);
    for (const char* text : {"Habari", " ya", " asubuhi"}) Delta(writer, text, 1);
    ChoiceFinished(writer, 0, inference::v1::FINISH_REASON_STOP);
    Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  }

  // Two numbers for each input: its number and its length; one token for each byte. Other dimensions are refused.
  static grpc::Status EmbedLengths(grpc::ServerContext&, const inference::v1::EmbedRequest& request,
                                   inference::v1::EmbedResponse& response) {
    if (request.dimensions() != 0 && request.dimensions() != 2) {
      return ToGrpc(Error{Code::kInvalidArgument, "WRONG_DIMENSIONS", "dimensions must be 2"});
    }
    for (int i = 0; i < request.inputs_size(); ++i) {
      auto& embedding = *response.add_embeddings();
      embedding.add_values(static_cast<float>(i));
      embedding.add_values(static_cast<float>(request.inputs(i).size()));
      response.set_prompt_tokens(response.prompt_tokens() + static_cast<int>(request.inputs(i).size()));
    }
    return grpc::Status::OK;
  }

  Script script = Greet;
  EmbedScript embed_script = EmbedLengths;
  std::atomic<int> calls{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> embedded{0};  // vectors
};

}  // namespace allod::gateway
