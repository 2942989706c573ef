#include "gateway/operators/grpc_proxy.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <vector>

#include "services/common/rpc/call_hold.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::operators {
namespace {

// What is passed on of a call's metadata: who makes it, and the trace that it belongs to.
constexpr char kCallerKey[] = "allod-caller";
constexpr std::string_view kPassedOn[] = {kCallerKey, Trace::kKey};

// One proxied call. Deletes itself once both sides are done.
class ProxiedCall final : public grpc::ServerGenericBidiReactor {
 public:
  ProxiedCall(grpc::GenericCallbackServerContext* server,
              const std::map<std::string, std::unique_ptr<grpc::GenericStub>>& stubs, const std::string& caller)
      : server_(server), stubs_(stubs), caller_(caller), upstream_(*this) {
    const std::string area = GrpcProxy::AreaOf(server->method());
    if (area.empty()) {
      Finish({grpc::StatusCode::UNIMPLEMENTED, "no service here has the method " + server->method()});
      return;
    }
    if (area != "operations") Open(area);
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok && !opened_) Open(GrpcProxy::OperationOwner(request_));
    if (!opened_) {
      Finish({grpc::StatusCode::INVALID_ARGUMENT, "the call ended before its request"});
      return;
    }
    hold_.Start([this, ok] { ok ? upstream_.StartWrite(&request_) : upstream_.StartWritesDone(); });
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      hold_.Start([this] { upstream_.StartRead(&response_); });
    } else {
      client_.TryCancel();
      hold_.LetGo();
    }
  }

  // May come at any moment, also while or before the call upstream is begun: then it fails as soon as it is.
  void OnCancel() override {
    client_.TryCancel();
    hold_.LetGo();
  }

  void OnDone() override { Release(); }

 private:
  struct Upstream final : grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
    explicit Upstream(ProxiedCall& c) : call(c) {}
    void OnWriteDone(bool ok) override {
      if (ok) call.StartRead(&call.request_);
    }
    void OnReadDone(bool ok) override {
      if (ok) {
        call.StartWrite(&call.response_);
        return;
      }
      call.hold_.LetGo();
    }
    void OnDone(const grpc::Status& status) override {
      call.Finish(status);
      call.Release();
    }
    ProxiedCall& call;
  };

  void Open(const std::string& area) {
    for (const auto& [key, value] : server_->client_metadata()) {
      const std::string name(key.data(), key.size());
      if (std::ranges::find(kPassedOn, name) == std::end(kPassedOn)) continue;
      if (name == kCallerKey && !caller_.empty()) continue;
      client_.AddMetadata(name, std::string(value.data(), value.size()));
    }
    if (!caller_.empty()) client_.AddMetadata(kCallerKey, caller_);
    client_.set_deadline(server_->deadline());
    opened_ = true;
    owners_ = 2;
    stubs_.at(area)->PrepareBidiStreamingCall(&client_, server_->method(), {}, &upstream_);
    hold_.Take(upstream_);  // its operations are also started from the other side's reactions
    upstream_.StartRead(&response_);
    upstream_.StartCall();
  }

  void Release() {
    if (--owners_ == 0) delete this;
  }

  grpc::GenericCallbackServerContext* server_;
  const std::map<std::string, std::unique_ptr<grpc::GenericStub>>& stubs_;
  const std::string& caller_;
  grpc::ClientContext client_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  Upstream upstream_;
  CallHold<grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>> hold_;
  bool opened_ = false;  // used by the reads of this side only
  std::atomic<int> owners_ = 1;
};

}  // namespace

GrpcProxy::GrpcProxy(const ProxyTargets& targets) {
  const std::pair<const char*, const std::string&> areas[] = {{"tenancy", targets.tenancy},
                                                              {"catalog", targets.catalog},
                                                              {"billing", targets.billing},
                                                              {"scheduling", targets.scheduling}};
  for (const auto& [area, target] : areas) stubs_[area] = std::make_unique<grpc::GenericStub>(MakeChannel(target));
}

grpc::ServerGenericBidiReactor* GrpcProxy::CreateReactor(grpc::GenericCallbackServerContext* context) {
  return new ProxiedCall(context, stubs_, caller_);
}

std::string GrpcProxy::AreaOf(const std::string& method) {
  if (method.starts_with("/google.longrunning.Operations/")) return "operations";
  for (const char* area : {"tenancy", "catalog", "billing", "scheduling"}) {
    if (method.starts_with(std::string("/allod.") + area + ".v1.")) return area;
  }
  return "";
}

std::string GrpcProxy::OperationOwner(const grpc::ByteBuffer& request) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (request.Dump(&slices).ok()) {
    for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  constexpr std::uint32_t kNameTag = (1U << 3U) | 2U;  // field 1, length-delimited
  std::string name;
  std::uint32_t length = 0;
  if (in.ReadTag() == kNameTag && in.ReadVarint32(&length)) in.ReadString(&name, static_cast<int>(length));
  return name.starts_with("tenants/") ? "scheduling" : "catalog";
}

}  // namespace allod::gateway::operators
