// RPCs of ProjectService. Thread-safe; borrows the store and the clock.
#pragma once

#include <functional>

#include "allod/tenancy/v1/project.grpc.pb.h"
#include "services/common/clock.h"
#include "services/tenancy/await_in_force.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class ProjectServiceImpl final : public v1::ProjectService::Service {
 public:
  // Returns when gateways have the tenant's keys and limits as they are at that version, or when it is time.
  using AwaitLimits = std::function<void(const std::string& tenant, std::int64_t version, SteadyTime until)>;

  ProjectServiceImpl(Store& store, const Clock& clock, CallGates& gates, AwaitLimits await_limits)
      : store_(store), clock_(clock), gates_(gates), await_limits_(std::move(await_limits)) {}

  grpc::Status CreateProject(grpc::ServerContext* context, const v1::CreateProjectRequest* request,
                             v1::Project* response) override;
  grpc::Status UpdateProject(grpc::ServerContext* context, const v1::UpdateProjectRequest* request,
                             v1::Project* response) override;
  grpc::Status GetProject(grpc::ServerContext* context, const v1::GetProjectRequest* request,
                          v1::Project* response) override;
  grpc::Status ListProjects(grpc::ServerContext* context, const v1::ListProjectsRequest* request,
                            v1::ListProjectsResponse* response) override;

 private:
  // What CreateProject would answer, without doing it.
  Result<Project> Judge(const Project& wanted);
  // The same for UpdateProject.
  Result<Project> JudgeChange(const Project& wanted, const std::string& etag);
  void AwaitInForce(const grpc::ServerContext& context, const Project& project);

  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
  const AwaitLimits await_limits_;
};

}  // namespace allod::tenancy
