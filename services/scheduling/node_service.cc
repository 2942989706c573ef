#include "services/scheduling/node_service.h"

#include <algorithm>

#include "scheduler/placement.h"
#include "services/common/rpc/server.h"
#include "services/scheduling/convert.h"
#include "services/scheduling/convert_region.h"

namespace allod::scheduling {
namespace {

// The page of `items`, which are sorted by `key_of`; both lists here are short enough to be whole in memory.
template <typename T, typename KeyOf>
Page<T> Cut(const PageRequest& page, const std::vector<T>& items, KeyOf key_of) {
  std::vector<T> rest;
  for (const T& item : items) {
    if (key_of(item) > page.after && rest.size() <= static_cast<std::size_t>(page.size)) rest.push_back(item);
  }
  return MakePage(page, std::move(rest), key_of);
}

// By node, then instance. '!' sorts before whatever an id may hold.
std::string KeyOf(const drivers::WorkerView& worker) {
  return worker.node + "!" + (worker.desired ? worker.desired->instance : "") + "!" + worker.replica.ToString();
}

}  // namespace

grpc::Status NodeServiceImpl::ListRegions(grpc::ServerContext* context, const v1::ListRegionsRequest* request,
                                          v1::ListRegionsResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::ListRegionsResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("regions", request->page_size(), request->page_token()));
    const RegionBoard::Seen seen = regions_.Read();
    ALLOD_CHECK_OK(CheckRead(seen));
    const auto listed = Cut(page, seen.regions->rows, [](const RegionVersion& region) { return region.id; });
    v1::ListRegionsResponse out;
    for (const auto& region : listed.items) *out.add_regions() = ToProto(region);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status NodeServiceImpl::ListNodes(grpc::ServerContext* context, const v1::ListNodesRequest* request,
                                        v1::ListNodesResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::ListNodesResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("nodes", request->page_size(), request->page_token()));
    ALLOD_TRY(std::vector<Node> nodes, store_.ListNodes());
    // Rows know what is allocated, the driver who reports.
    for (const auto& live : driver_.Capacity(clock_.Now())) {
      const auto row = std::ranges::find(nodes, live.id, [](const Node& node) { return node.node.id; });
      if (row != nodes.end()) row->node = live;
    }
    const auto listed = Cut(page, nodes, [](const Node& node) { return node.node.id; });
    const RegionBoard::Seen regions = regions_.Read();
    v1::ListNodesResponse out;
    for (const Node& node : listed.items) {
      v1::Node& row = *out.add_nodes() = ToProto(node);
      if (regions.regions) row.set_message(scheduler::NodeRefusal(regions.regions->places, node.node));
      figures_.AddTo(row.name(), row);
    }
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status NodeServiceImpl::ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                                          v1::ListWorkersResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::ListWorkersResponse> {
    const std::string& parent = request->parent();
    const bool all = parent == "nodes/-";
    if (!all) ALLOD_CHECK_OK(MatchName("parent", parent, "nodes/*"));
    ALLOD_TRY(const PageRequest page, ParsePage("workers of " + parent, request->page_size(), request->page_token()));
    std::vector<drivers::WorkerView> workers = driver_.List();
    if (!all) {
      std::erase_if(workers, [&](const auto& worker) { return "nodes/" + worker.node != parent; });
    }
    std::ranges::sort(workers, {}, KeyOf);
    const auto listed = Cut(page, workers, KeyOf);
    v1::ListWorkersResponse out;
    for (const auto& worker : listed.items) {
      v1::Worker& row = *out.add_workers() = ToProto(worker);
      figures_.AddTo("nodes/" + worker.node, worker.replica.ToString(), row);
    }
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::scheduling
