#include "services/catalog/operation_service.h"

#include <google/protobuf/util/time_util.h>

#include "allod/catalog/v1/model.grpc.pb.h"
#include "services/catalog/convert.h"
#include "services/common/rpc/long_poll.h"
#include "services/common/rpc/server.h"

namespace allod::catalog {
namespace {

constexpr int kPerPageMax = 100;

}  // namespace

grpc::Status OperationServiceImpl::GetOperation(grpc::ServerContext* context,
                                                const google::longrunning::GetOperationRequest* request,
                                                google::longrunning::Operation* response) {
  return HandleOperation<v1::ModelService>(context, request, response,
                                           [&](const Call&) -> Result<google::longrunning::Operation> {
                                             ALLOD_TRY(const Uuid id, UuidOf("name", request->name(), "operations/*"));
                                             ALLOD_TRY(const Operation operation, store_.GetOperation(id));
                                             return ToProto(operation);
                                           });
}

grpc::Status OperationServiceImpl::ListOperations(grpc::ServerContext* context,
                                                  const google::longrunning::ListOperationsRequest* request,
                                                  google::longrunning::ListOperationsResponse* response) {
  return HandleOperation<v1::ModelService>(
      context, request, response, [&](const Call&) -> Result<google::longrunning::ListOperationsResponse> {
        if (!request->filter().empty()) {
          return InvalidArgument("FILTER_NOT_SUPPORTED", "filter: operations cannot be filtered; leave it empty");
        }
        ALLOD_TRY(const PageRequest page,
                  ParsePage("operations", request->page_size(), request->page_token(), kPerPageMax));
        ALLOD_TRY(const auto operations, store_.ListOperations(page));
        google::longrunning::ListOperationsResponse out;
        for (const Operation& operation : operations.items) *out.add_operations() = ToProto(operation);
        out.set_next_page_token(operations.next_page_token);
        return out;
      });
}

grpc::Status OperationServiceImpl::WaitOperation(grpc::ServerContext* context,
                                                 const google::longrunning::WaitOperationRequest* request,
                                                 google::longrunning::Operation* response) {
  return HandleOperation<v1::ModelService>(
      context, request, response, [&](const Call&) -> Result<google::longrunning::Operation> {
        using google::protobuf::util::TimeUtil;
        ALLOD_TRY(const Uuid id, UuidOf("name", request->name(), "operations/*"));
        const std::chrono::milliseconds timeout =
            request->has_timeout() ? std::chrono::milliseconds(TimeUtil::DurationToMilliseconds(request->timeout()))
                                   : kLongPollWaitMax;
        ALLOD_TRY(const Operation operation, WaitFor(*context, id, timeout));
        return ToProto(operation);
      });
}

Result<Operation> OperationServiceImpl::WaitFor(const grpc::ServerContext& context, const Uuid& id,
                                                std::chrono::milliseconds timeout) {
  ALLOD_TRY(const auto waiter, jobs_changed_.Enter());
  Operation operation;
  ALLOD_CHECK_OK(LongPoll(context, jobs_changed_, {timeout, kJobsLookEvery}, [&]() -> Result<bool> {
    ALLOD_TRY(operation, store_.GetOperation(id));
    return operation.job.finished();
  }));
  return operation;
}

}  // namespace allod::catalog
