#include "services/tenancy/project_service.h"

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert.h"
#include "services/tenancy/limits_version.h"

namespace allod::tenancy {

Result<Project> ProjectServiceImpl::Judge(const Project& wanted) {
  ALLOD_TRY(const QuotaState quotas, store_.ReadQuotas(wanted.tenant, "", wanted.create_time));
  const auto standing = store_.GetProject(wanted.tenant, wanted.id);
  if (standing && !SameContent(*standing, wanted)) return std::unexpected(TakenByOtherContent(wanted.name()));
  if (standing || standing.error().code != Code::kNotFound) return standing;
  ALLOD_TRY(const Tenant tenant, store_.GetTenant(wanted.tenant));
  ALLOD_CHECK_OK(CheckWithinTenant(wanted, tenant));
  ALLOD_CHECK_OK(RoomForProject(wanted, quotas));
  return wanted;
}

void ProjectServiceImpl::AwaitInForce(const grpc::ServerContext& context, const Project& project) {
  const std::int64_t version = VersionToAwait(store_, project.tenant);
  if (version > 0) await_limits_(project.tenant, version, AwaitUntil(context));
}

Result<Project> ProjectServiceImpl::JudgeChange(const Project& wanted, const std::string& etag) {
  ALLOD_TRY(const Project standing, store_.GetProject(wanted.tenant, wanted.id));
  ALLOD_TRY(const Tenant tenant, store_.GetTenant(wanted.tenant));
  return Changed(standing, wanted, etag, tenant);
}

grpc::Status ProjectServiceImpl::UpdateProject(grpc::ServerContext* context, const v1::UpdateProjectRequest* request,
                                               v1::Project* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Project> {
    ALLOD_TRY(const Project wanted, ProjectFromRequest(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    const std::string& etag = request->project().etag();
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const Project judged, JudgeChange(wanted, etag));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const Project updated,
              InTurn(gates_.writes, call, [&] { return store_.UpdateProject(wanted, etag, request_id); }));
    AwaitInForce(*context, updated);
    return ToProto(updated);
  });
}

grpc::Status ProjectServiceImpl::CreateProject(grpc::ServerContext* context, const v1::CreateProjectRequest* request,
                                               v1::Project* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Project> {
    ALLOD_TRY(const Project project, ProjectFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const Project judged, Judge(project));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const Project created,
              InTurn(gates_.writes, call, [&] { return store_.CreateProject(project, request_id); }));
    AwaitInForce(*context, created);
    return ToProto(created);
  });
}

grpc::Status ProjectServiceImpl::GetProject(grpc::ServerContext* context, const v1::GetProjectRequest* request,
                                            v1::Project* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Project> {
    ALLOD_TRY(const ProjectName name, ProjectNameOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Project project, store_.GetProject(name.tenant, name.project));
    return ToProto(project);
  });
}

grpc::Status ProjectServiceImpl::ListProjects(grpc::ServerContext* context, const v1::ListProjectsRequest* request,
                                              v1::ListProjectsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListProjectsResponse> {
    ALLOD_TRY(const std::string tenant, TenantIdOf("parent", request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/projects", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    v1::ListProjectsResponse out;
    if (call.principal.in_project()) {
      ALLOD_TRY(const Project own, store_.GetProject(tenant, call.principal.project));
      *out.add_projects() = ToProto(own);
      return out;
    }
    ALLOD_TRY(const auto projects, store_.ListProjects(tenant, page));
    for (const Project& project : projects.items) *out.add_projects() = ToProto(project);
    out.set_next_page_token(projects.next_page_token);
    return out;
  });
}

}  // namespace allod::tenancy
