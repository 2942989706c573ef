// The gateway's own metrics, in the process's registry. Labels are bounded: routes by template, never a key or a model.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace allod::gateway {

// allod_http_requests_total{route,status}, allod_http_request_seconds{route}.
void CountHttpRequest(std::string_view route, int status, std::chrono::nanoseconds elapsed);
// allod_gateway_time_to_first_token_seconds, from admission.
void ObserveFirstToken(std::chrono::nanoseconds elapsed);
// allod_gateway_inter_token_seconds, between two deltas of one answer.
void ObserveNextToken(std::chrono::nanoseconds gap);
// allod_gateway_tokens_total{kind}: delivered.
void CountTokens(std::int64_t prompt, std::int64_t completion);
// allod_gateway_generations_total{outcome}.
void CountGeneration(std::string_view outcome);
// allod_gateway_settlements_total{result}.
void CountSettlement(std::string_view result);
// allod_gateway_journal_slots_used, allod_gateway_connections.
void SetJournalSlotsUsed(int count);
void SetConnections(int count);

}  // namespace allod::gateway
