// RPCs of ProjectService. Thread-safe; borrows the store and the clock.
#pragma once

#include "allod/tenancy/v1/project.grpc.pb.h"
#include "services/common/clock.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class ProjectServiceImpl final : public v1::ProjectService::Service {
 public:
  ProjectServiceImpl(Store& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

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

  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::tenancy
