// The gateway's own metrics, in the process's registry; those of each instance are in instance_metrics.h. Labels are
// bounded: routes by template, never a key.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace allod::gateway::telemetry {

// allod_http_requests_total{route,status}, allod_http_request_seconds{route}.
void CountHttpRequest(std::string_view route, int status, std::chrono::nanoseconds elapsed);
// allod_gateway_limited_total{level,shadow}: what a limit refused or, in shadow, would have.
void CountLimited(std::string_view level, bool shadow);
// allod_gateway_targets_outside_residency_total: targets of routes that stand where their tenant's data may not be.
void CountTargetOutsideResidency();
// allod_gateway_settlements_total{result}.
void CountSettlement(std::string_view result);
// allod_gateway_journal_slots_used, allod_gateway_settlements_refused, allod_gateway_connections.
void SetJournalSlotsUsed(int count);
void SetSettlementsRefused(int count);
void SetConnections(int count);
// allod_gateway_lease_adjustments_total{result}: what billing said.
void CountLeaseAdjustment(std::string_view result);
// allod_gateway_lease_waits_total: requests that waited for money; allod_gateway_lease_refusals_total{reason}.
void CountLeaseWait();
void CountLeaseRefusal(std::string_view reason);
// allod_gateway_leases, and allod_gateway_lease_free{currency} in its major units.
void SetLeases(int count);
void SetLeaseFree(const std::string& currency, double amount);

}  // namespace allod::gateway::telemetry
