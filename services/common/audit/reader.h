// What a service answers about its audit log. Every area has an AuditService of its own, because calls find their
// service by the package and their method by the request; their messages are one, and so is what they do.
//
//   using AuditServiceImpl = audit::AuditService<v1::AuditService, v1::ListAuditEntriesRequest,
//                                                v1::GetAuditHeadRequest>;
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "allod/audit/v1/audit.pb.h"
#include "services/common/audit/pg_log.h"
#include "services/common/rpc/call_gate.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"

namespace allod::audit {

// Reads the log of one service. Thread-safe.
class Reader {
 public:
  // `gate` is that of the service's other reads.
  Reader(PgPool& pool, std::string service, CallGate& gate)
      : pool_(pool), service_(std::move(service)), log_(service_), gate_(gate) {}

  // `parent` is "tenants/ke". INVALID_ARGUMENT / INVALID_NAME, INVALID_PAGE_SIZE, INVALID_PAGE_TOKEN.
  Result<v1::AuditEntries> List(const Call& call, const std::string& parent, int page_size,
                                const std::string& page_token, const Filter& filter);
  Result<v1::AuditHead> GetHead(const Call& call, const std::string& parent);

 private:
  PgPool& pool_;
  const std::string service_;
  const PgLog log_;
  CallGate& gate_;
};

template <typename Service, typename ListRequest, typename HeadRequest>
class AuditService : public Service::Service {
 public:
  explicit AuditService(Reader& reader) : reader_(reader) {}

  grpc::Status ListAuditEntries(grpc::ServerContext* context, const ListRequest* request,
                                v1::AuditEntries* response) override {
    return Handle(context, request, response, [&](const Call& call) -> Result<v1::AuditEntries> {
      Filter filter{.action_prefix = request->action_prefix()};
      if (request->has_start_time()) {
        ALLOD_TRY(filter.start, TimeFrom("start_time", request->start_time()));
      }
      if (request->has_end_time()) {
        ALLOD_TRY(filter.end, TimeFrom("end_time", request->end_time()));
      }
      return reader_.List(call, request->parent(), request->page_size(), request->page_token(), filter);
    });
  }
  grpc::Status GetAuditHead(grpc::ServerContext* context, const HeadRequest* request,
                            v1::AuditHead* response) override {
    return Handle(context, request, response,
                  [&](const Call& call) -> Result<v1::AuditHead> { return reader_.GetHead(call, request->parent()); });
  }

 private:
  Reader& reader_;
};

}  // namespace allod::audit
