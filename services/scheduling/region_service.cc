#include "services/scheduling/region_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/rpc/server.h"
#include "services/scheduling/convert_region.h"

namespace allod::scheduling {
namespace {

constexpr std::size_t kStoppedNamedMax = 1000;

}  // namespace

void RegionServiceImpl::PutInForce(const RegionVersion& made, std::chrono::milliseconds wait) {
  using std::chrono::milliseconds, std::chrono::steady_clock;
  const auto until = steady_clock::now() + wait;
  const auto left = [&] {
    return std::max(milliseconds(0), std::chrono::floor<milliseconds>(until - steady_clock::now()));
  };
  const std::uint64_t number = board_.Put({made});
  if (!board_.AwaitInForce(number, left())) return;
  gateways_.Await(static_cast<std::int64_t>(routes_.Await(0, milliseconds(0)).version), left());
}

Result<v1::Region> RegionServiceImpl::Create(const grpc::ServerContext& context, const Call& call,
                                             const v1::CreateRegionRequest& request) {
  ALLOD_TRY(const RegionVersion wanted, RegionFromRequest(request));
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
  ALLOD_TRY(const auto known, regions_.ListRegions());
  if (const auto standing = std::ranges::find(known, wanted.id, &RegionVersion::id); standing != known.end()) {
    if (SameContent(*standing, wanted)) return ToProto(*standing);
    return Fail(Code::kAlreadyExists, "ALREADY_EXISTS",
                fmt::format("{} exists with other content (it lies in {})", wanted.name(), standing->jurisdiction));
  }
  if (std::cmp_greater_equal(known.size(), kRegionsMax)) return std::unexpected(TooManyRegions());
  if (request.validate_only()) return ToProto(wanted);
  ALLOD_TRY(const RegionVersion made, regions_.AddVersion(wanted));
  Log(LogLevel::kInfo, "region made", {{"region", made.id}, {"jurisdiction", made.jurisdiction}});
  PutInForce(made, AcknowledgementWait(context));
  return ToProto(made);
}

Result<std::vector<std::string>> RegionServiceImpl::Stopped(const RegionVersion& changed) {
  const RegionBoard::Seen seen = board_.Read();
  ALLOD_CHECK_OK(CheckRead(seen));
  std::vector<scheduler::Region> after = seen.regions->places;
  for (scheduler::Region& place : after) {
    if (place.id == changed.id) place.jurisdiction = changed.jurisdiction;
  }
  ALLOD_TRY(const std::vector<TenantTerms> terms, store_.ListTerms());
  return StoppedBy(seen.regions->places, after, driver_.List(), driver_.Capacity(clock_.Now()), terms);
}

Result<v1::UpdateRegionResponse> RegionServiceImpl::Update(const grpc::ServerContext& context, const Call& call,
                                                           const v1::UpdateRegionRequest& request) {
  ALLOD_TRY(RegionVersion wanted, RegionFromRequest(request));
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
  ALLOD_TRY(const RegionVersion standing, regions_.GetRegion(wanted.id));
  v1::UpdateRegionResponse out;
  if (SameContent(standing, wanted)) {
    *out.mutable_region() = ToProto(standing);
    return out;
  }
  ALLOD_CHECK_OK(CheckEtag(standing, request.region().etag()));
  wanted.version = standing.version + 1;
  ALLOD_TRY(const std::vector<std::string> stopped, Stopped(wanted));
  out.set_stopped_instance_count(static_cast<std::int32_t>(stopped.size()));
  for (std::size_t i = 0; i < std::min(stopped.size(), kStoppedNamedMax); ++i) out.add_stopped_instances(stopped[i]);
  if (request.validate_only()) {
    wanted.create_time = standing.create_time;
    *out.mutable_region() = ToProto(wanted);
    return out;
  }
  ALLOD_TRY(const RegionVersion made, regions_.AddVersion(wanted));
  Log(LogLevel::kInfo, "region changed",
      {{"region", made.id},
       {"before", standing.jurisdiction},
       {"jurisdiction", made.jurisdiction},
       {"stopped", std::to_string(stopped.size())}});
  PutInForce(made, AcknowledgementWait(context));
  *out.mutable_region() = ToProto(made);
  return out;
}

grpc::Status RegionServiceImpl::CreateRegion(grpc::ServerContext* context, const v1::CreateRegionRequest* request,
                                             v1::Region* response) {
  return Handle(context, request, response, [&](const Call& call) { return Create(*context, call, *request); });
}

grpc::Status RegionServiceImpl::GetRegion(grpc::ServerContext* context, const v1::GetRegionRequest* request,
                                          v1::Region* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Region> {
    ALLOD_TRY(const auto id, MatchName("name", request->name(), "regions/*"));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const RegionVersion region, regions_.GetRegion(id[0]));
    return ToProto(region);
  });
}

grpc::Status RegionServiceImpl::UpdateRegion(grpc::ServerContext* context, const v1::UpdateRegionRequest* request,
                                             v1::UpdateRegionResponse* response) {
  return Handle(context, request, response, [&](const Call& call) { return Update(*context, call, *request); });
}

grpc::Status RegionServiceImpl::ListRegionVersions(grpc::ServerContext* context,
                                                   const v1::ListRegionVersionsRequest* request,
                                                   v1::ListRegionVersionsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListRegionVersionsResponse> {
    ALLOD_TRY(const auto id, MatchName("parent", request->parent(), "regions/*"));
    ALLOD_TRY(const PageRequest page,
              ParsePage("versions of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto versions, regions_.ListVersions(id[0], page));
    const auto listed = MakePage(page, std::move(versions), VersionKey);
    v1::ListRegionVersionsResponse out;
    for (const RegionVersion& version : listed.items) *out.add_region_versions() = VersionToProto(version);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::scheduling
