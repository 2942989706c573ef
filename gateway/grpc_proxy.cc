#include "gateway/grpc_proxy.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/grpcpp.h>

#include <mutex>
#include <vector>

#include "services/common/rpc/client.h"

namespace allod::gateway {
namespace {

constexpr char kCallerKey[] = "allod-caller";

// One proxied call. Deletes itself once both sides are done.
class ProxiedCall final : public grpc::ServerGenericBidiReactor {
 public:
  ProxiedCall(grpc::GenericCallbackServerContext* server,
              const std::map<std::string, std::unique_ptr<grpc::GenericStub>>& stubs)
      : server_(server), stubs_(stubs), upstream_(*this) {
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
    const std::lock_guard lock(mutex_);
    if (!upstream_held_) return;
    if (ok) {
      upstream_.StartWrite(&request_);
    } else {
      upstream_.StartWritesDone();
    }
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (!upstream_held_) return;
    if (ok) {
      upstream_.StartRead(&response_);
    } else {
      client_.TryCancel();
      LetGoOfUpstream();
    }
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    if (!opened_) return;
    client_.TryCancel();
    if (upstream_held_) LetGoOfUpstream();
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
      const std::lock_guard lock(call.mutex_);
      if (call.upstream_held_) call.LetGoOfUpstream();
    }
    void OnDone(const grpc::Status& status) override {
      call.Finish(status);
      call.Release();
    }
    ProxiedCall& call;
  };

  void Open(const std::string& area) {
    for (const auto& [key, value] : server_->client_metadata()) {
      if (key == kCallerKey) client_.AddMetadata(kCallerKey, std::string(value.data(), value.size()));
    }
    client_.set_deadline(server_->deadline());
    {
      const std::lock_guard lock(mutex_);
      opened_ = true;
      upstream_held_ = true;
      owners_ = 2;
    }
    stubs_.at(area)->PrepareBidiStreamingCall(&client_, server_->method(), {}, &upstream_);
    // Its operations are also started from the other side's reactions.
    upstream_.AddHold();
    upstream_.StartRead(&response_);
    upstream_.StartCall();
  }

  // With the mutex held: after this no operation of the upstream call is started from outside.
  void LetGoOfUpstream() {
    upstream_held_ = false;
    upstream_.RemoveHold();
  }

  void Release() {
    {
      const std::lock_guard lock(mutex_);
      if (--owners_ > 0) return;
    }
    delete this;
  }

  grpc::GenericCallbackServerContext* server_;
  const std::map<std::string, std::unique_ptr<grpc::GenericStub>>& stubs_;
  grpc::ClientContext client_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  Upstream upstream_;
  std::mutex mutex_;
  bool opened_ = false;
  bool upstream_held_ = false;
  int owners_ = 1;
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
  return new ProxiedCall(context, stubs_);
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

}  // namespace allod::gateway
