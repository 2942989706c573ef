// Reads the request_id of an RPC's request together with the fingerprint of the rest of the message. A request that is
// only to be judged (validate_only) has the fingerprint of the real one.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <string>

#include "services/common/request_id.h"

namespace allod {

template <typename Request>
Result<RequestId> ReadRequestId(const Request& request) {
  Request payload = request;
  payload.clear_request_id();
  if constexpr (requires { payload.clear_validate_only(); }) payload.clear_validate_only();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    payload.SerializeToCodedStream(&coded);
  }
  return MakeRequestId(request.request_id(), Request::descriptor()->full_name(), bytes);
}

}  // namespace allod
