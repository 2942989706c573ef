// What the functions of a kind are made of: calls to the service that has it, and their answers in the kind's terms.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/kinds/kind.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"

namespace allod::cli::kinds {

constexpr int kListedMax = 100'000;

// "b" of "as/a/bs/b", and "as/a"; of "as/a" there is no parent.
std::string LastSegment(const std::string& name);
std::string ParentOf(const std::string& name);

template <typename T>
Result<terminal::MessagePtr> Own(Result<T> result) {
  if (!result) return std::unexpected(result.error());
  return std::make_unique<T>(*std::move(result));
}

// A change that is complete, and one that goes on in `process`.
template <typename T>
Result<net::Change> Done(const Result<T>& result) {
  if (!result) return std::unexpected(result.error());
  return net::Change{};
}
Result<net::Change> Started(const std::string& process, Result<google::longrunning::Operation> result);

template <typename Request>
void Mark(Request& request, const Attempt& attempt) {
  request.set_request_id(attempt.request_id);
  request.set_validate_only(attempt.validate_only);
}

// Of something that lies below others: those, when the service did not find one of them.
std::vector<std::string> IfNotFound(const Error& error, std::vector<std::string> names);

// get(), by a GetX method.
template <typename Service, typename Req, typename T>
auto Getter(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, T*)) {
  return [=](const net::Services& services, const std::string& name) -> Result<terminal::MessagePtr> {
    Req request;
    request.set_name(name);
    return Own(net::Ask<Service>(services, method, request));
  };
}

// list(), by a ListX method.
template <typename Service, typename Req, typename Resp>
auto Lister(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*)) {
  return [=](const net::Services& services, const std::string& parent) -> Result<std::vector<terminal::MessagePtr>> {
    Req request;
    if constexpr (requires { request.set_parent(parent); }) request.set_parent(parent);
    ALLOD_TRY(net::Listed listed, net::List<Service>(services, method, request, kListedMax));
    if (listed.has_more) std::fprintf(stderr, "allod: only the first %d are shown\n", kListedMax);
    return std::move(listed.items);
  };
}

}  // namespace allod::cli::kinds
