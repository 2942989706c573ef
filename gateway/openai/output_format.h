// Reads what the answer must look like: `response_format` of chat requests and our `grammar` of both kinds. Pure.
#pragma once

#include "allod/inference/v1/worker.pb.h"
#include "gateway/http/json_input.h"

namespace allod::gateway::openai {

// {"type":"text"}, {"type":"json_object"}, or {"type":"json_schema","json_schema":{"name","schema",...}}.
http::ParamResult<void> ParseResponseFormat(http::JsonFields& fields, inference::v1::GenerateRequest& out);

// A GBNF grammar of at most 64 KiB; not together with a response_format or tools. Call it after they were read.
http::ParamResult<void> ParseGrammar(http::JsonFields& fields, inference::v1::GenerateRequest& out);

}  // namespace allod::gateway::openai
