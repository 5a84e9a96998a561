// Renewed by `./dev lock`. Api is what the API answers, by shared/api/schemas.py; PageElements are the elements of
// shared/dashboard/index.html by their IDs.

declare namespace Api {
  type BlobCounts = {
    succeeded: number;
    failed: number;
    inProgress: number;
    canceled: number;
  };
  type Operation = {
    operationId: string;
    /** The cluster's ingestion endpoint. */
    cluster: string;
    database: string;
    table: string;
    state: "InProgress" | "Succeeded" | "PartiallySucceeded" | "Failed" | "Canceled" | "NotFound" | "TimedOut";
    /** 1 is what upstream submitted. */
    attempt: number;
    /** Of what upstream submitted: its own ID in the first attempt. */
    rootOperationId: string;
    /** Whose failed blobs it has; null in the first attempt. */
    parentOperationId: string | null;
    /** Of the operation's message. */
    correlationId: string | null;
    registeredAt: string;
    startTime: string | null;
    lastUpdated: string | null;
    /** Null while it is in progress. */
    settledAt: string | null;
    blobs: BlobCounts;
    polls: number;
    transientFailures: number;
    /** All failures that are not Transient. */
    permanentFailures: number;
    retriedBlobs: number;
    firstErrorCode: string | null;
    /** What went wrong, as a text: of its last failed blob, or of a request to ADX that gave no status. */
    lastError: string | null;
  };
  type Operations = {
    operations: Array<Operation>;
    /** For what follows, given back with the same filters; null at the end. */
    continuationToken: string | null;
  };
  type OperationWithLineage = {
    operationId: string;
    /** The cluster's ingestion endpoint. */
    cluster: string;
    database: string;
    table: string;
    state: "InProgress" | "Succeeded" | "PartiallySucceeded" | "Failed" | "Canceled" | "NotFound" | "TimedOut";
    /** 1 is what upstream submitted. */
    attempt: number;
    /** Of what upstream submitted: its own ID in the first attempt. */
    rootOperationId: string;
    /** Whose failed blobs it has; null in the first attempt. */
    parentOperationId: string | null;
    /** Of the operation's message. */
    correlationId: string | null;
    registeredAt: string;
    startTime: string | null;
    lastUpdated: string | null;
    /** Null while it is in progress. */
    settledAt: string | null;
    blobs: BlobCounts;
    polls: number;
    transientFailures: number;
    /** All failures that are not Transient. */
    permanentFailures: number;
    retriedBlobs: number;
    firstErrorCode: string | null;
    /** What went wrong, as a text: of its last failed blob, or of a request to ADX that gave no status. */
    lastError: string | null;
    lineage: {
      rootOperationId: string;
      operations: Array<{
        operationId: string;
        /** 1 is what upstream submitted. */
        attempt: number;
        state: "InProgress" | "Succeeded" | "PartiallySucceeded" | "Failed" | "Canceled" | "NotFound" | "TimedOut";
        /** Whose failed blobs it has; null in the first attempt. */
        parentOperationId: string | null;
        registeredAt: string;
        /** Null while it is in progress. */
        settledAt: string | null;
        blobs: BlobCounts;
      }>;
      /** How many more operations of this root there are. */
      leftOut: number;
    };
  };
  type Blob = {
    /** Names it within its operation. */
    blobKey: string;
    /** Without its query; null where ADX gives none. */
    url: string | null;
    sourceId: string | null;
    /** As ADX gave it. */
    status: string;
    startTime: string | null;
    lastUpdated: string | null;
    errorCode: string | null;
    /** As ADX gave it: Unknown, Permanent, Transient, Exhausted, or what it adds. */
    failureStatus: string | null;
    /** ADX's text, without what may be a secret. */
    details: string | null;
    retryState: "Pending" | "Enqueued" | "Resubmitted" | "Recovered" | "AttemptsExhausted" | "NotResubmittable" | null;
    /** Why it can't be submitted again. */
    retryReason: string | null;
    /** What it was submitted again with. */
    retryOperationId: string | null;
    attempt: number;
    redrivenBy: string | null;
    redrivenAt: string | null;
  };
  type Blobs = {
    blobs: Array<Blob>;
    /** For what follows, given back with the same filters; null at the end. */
    continuationToken: string | null;
  };
  type Summary = {
    since: string;
    until: string;
    bucketSeconds: number;
    /** Operations that were counted. */
    counted: number;
    /** False where there are more: only the newest were counted then. */
    isComplete: boolean;
    /** By time of registration; the first may begin before `since`. */
    buckets: Array<{
      at: string;
      states: {
        InProgress?: number;
        Succeeded?: number;
        PartiallySucceeded?: number;
        Failed?: number;
        Canceled?: number;
        NotFound?: number;
        TimedOut?: number;
      };
    }>;
    /** By state. */
    operations: {
      InProgress: number;
      Succeeded: number;
      PartiallySucceeded: number;
      Failed: number;
      Canceled: number;
      NotFound: number;
      TimedOut: number;
    };
    /** Of operations that have ended. */
    blobs: BlobCounts;
    /** Those of most operations first, a hundred at the most. */
    failures: Array<{
      /** The first of an operation; null where ADX gave none. */
      errorCode: string | null;
      cluster: string;
      database: string;
      table: string;
      operations: number;
      failedBlobs: number;
    }>;
    /** All that is watched now, as it was measured last; null before it is for the first time. */
    outstanding: {
      count: number;
      overdue: number;
      oldestRegisteredAt: string | null;
      measuredAt: string;
    } | null;
  };
  type ErrorCodes = {
    errorCodes: Array<{
      code: string;
      category: string;
      failureStatus: "Unknown" | "Permanent" | "Transient" | "Exhausted";
      /** What ADX says of it. */
      description: string;
      /** What has happened, in a sentence. */
      summary: string;
      /** What to do, and who does it. */
      advice: string;
    }>;
  };
  type Health = {
    status: "healthy" | "unhealthy";
    checkedAt: string;
    checks: {
      /** Tables can be read and written. */
      storage: {
        isHealthy: boolean;
        detail: string;
      };
      /** Each queue is there. */
      queues: {
        isHealthy: boolean;
        detail: string;
      };
      /** The app's identity gets a token for each cluster. */
      token: {
        isHealthy: boolean;
        detail: string;
      };
      /** Each cluster answers, and lets the app in. */
      adx: {
        isHealthy: boolean;
        detail: string;
      };
      /** A tick was finished lately. */
      poller: {
        isHealthy: boolean;
        detail: string;
        lastFinishedAt: string | null;
        ageSeconds: number | null;
      };
      /** Nothing is outstanding for longer than it should be. */
      backlog: {
        isHealthy: boolean;
        detail: string;
        outstanding: number | null;
        oldestRegisteredAt: string | null;
        oldestAgeSeconds: number | null;
      };
    };
  };
  type RedrivenBlobs = {
    redriveId: string;
    /** Put on the retry queue. */
    blobs: number;
    /** Given up, and not what the redrive was about. */
    left: number;
  };
  type Problem = {
    type: "about:blank";
    title: string;
    status: number;
    /** What is wrong and what to do, for a person. */
    detail: string;
  };
}

interface PageElements {
  "periods": HTMLElementTagNameMap["ul"];
  "health": HTMLElementTagNameMap["details"];
  "health-word": HTMLElementTagNameMap["span"];
  "health-checks": HTMLElementTagNameMap["div"];
  "heard": HTMLElementTagNameMap["p"];
  "banners": HTMLElementTagNameMap["div"];
  "connection": HTMLElementTagNameMap["section"];
  "connection-text": HTMLElementTagNameMap["p"];
  "try-now": HTMLElementTagNameMap["button"];
  "unhealthy": HTMLElementTagNameMap["section"];
  "announcer": HTMLElementTagNameMap["p"];
  "overview": HTMLElementTagNameMap["div"];
  "glance": HTMLElementTagNameMap["section"];
  "glance-title": HTMLElementTagNameMap["h2"];
  "chart-title": HTMLElementTagNameMap["h3"];
  "operations-total": HTMLElementTagNameMap["p"];
  "chart-parts": HTMLElementTagNameMap["div"];
  "chart": HTMLElementTagNameMap["div"];
  "legend": HTMLElementTagNameMap["ul"];
  "chart-table": HTMLElementTagNameMap["table"];
  "chart-head": HTMLElementTagNameMap["thead"];
  "chart-rows": HTMLElementTagNameMap["tbody"];
  "nothing": HTMLElementTagNameMap["div"];
  "nothing-title": HTMLElementTagNameMap["h4"];
  "longer": HTMLElementTagNameMap["p"];
  "blobs-title": HTMLElementTagNameMap["h3"];
  "blobs": HTMLElementTagNameMap["div"];
  "outstanding-title": HTMLElementTagNameMap["h3"];
  "outstanding": HTMLElementTagNameMap["div"];
  "failures-title": HTMLElementTagNameMap["h3"];
  "failures-table": HTMLElementTagNameMap["table"];
  "failures": HTMLElementTagNameMap["tbody"];
  "no-failures": HTMLElementTagNameMap["p"];
  "all-failures": HTMLElementTagNameMap["button"];
  "operations": HTMLElementTagNameMap["section"];
  "operations-title": HTMLElementTagNameMap["h2"];
  "search": HTMLElementTagNameMap["form"];
  "search-id": HTMLElementTagNameMap["input"];
  "filters": HTMLElementTagNameMap["details"];
  "filter-form": HTMLElementTagNameMap["form"];
  "state-choices": HTMLElementTagNameMap["div"];
  "known-tables": HTMLElementTagNameMap["datalist"];
  "known-databases": HTMLElementTagNameMap["datalist"];
  "known-clusters": HTMLElementTagNameMap["datalist"];
  "clear-filters": HTMLElementTagNameMap["button"];
  "chips": HTMLElementTagNameMap["ul"];
  "operations-table": HTMLElementTagNameMap["table"];
  "skeleton": HTMLElementTagNameMap["div"];
  "empty": HTMLElementTagNameMap["div"];
  "more": HTMLElementTagNameMap["button"];
  "loaded": HTMLElementTagNameMap["span"];
  "more-note": HTMLElementTagNameMap["span"];
  "detail": HTMLElementTagNameMap["section"];
  "close": HTMLElementTagNameMap["a"];
  "copy": HTMLElementTagNameMap["button"];
  "detail-state": HTMLElementTagNameMap["p"];
  "detail-title": HTMLElementTagNameMap["h2"];
  "detail-problem": HTMLElementTagNameMap["div"];
  "detail-skeleton": HTMLElementTagNameMap["div"];
  "detail-body": HTMLElementTagNameMap["div"];
  "redrive-part": HTMLElementTagNameMap["section"];
  "redrive-heading": HTMLElementTagNameMap["h3"];
  "redrive-text": HTMLElementTagNameMap["p"];
  "redrive": HTMLElementTagNameMap["button"];
  "errors-part": HTMLElementTagNameMap["section"];
  "errors-heading": HTMLElementTagNameMap["h3"];
  "errors": HTMLElementTagNameMap["ul"];
  "errors-note": HTMLElementTagNameMap["p"];
  "facts-heading": HTMLElementTagNameMap["h3"];
  "facts": HTMLElementTagNameMap["dl"];
  "lineage-part": HTMLElementTagNameMap["section"];
  "lineage-heading": HTMLElementTagNameMap["h3"];
  "lineage": HTMLElementTagNameMap["ol"];
  "lineage-note": HTMLElementTagNameMap["p"];
  "blobs-heading": HTMLElementTagNameMap["h3"];
  "detail-blobs": HTMLElementTagNameMap["div"];
  "blob-status": HTMLElementTagNameMap["select"];
  "blobs-table": HTMLElementTagNameMap["table"];
  "no-blobs": HTMLElementTagNameMap["p"];
  "more-blobs": HTMLElementTagNameMap["button"];
  "blobs-loaded": HTMLElementTagNameMap["span"];
  "more-blobs-note": HTMLElementTagNameMap["span"];
  "forget": HTMLElementTagNameMap["button"];
  "redrive-dialog": HTMLElementTagNameMap["dialog"];
  "redrive-form": HTMLElementTagNameMap["form"];
  "redrive-title": HTMLElementTagNameMap["h2"];
  "redrive-operation": HTMLElementTagNameMap["p"];
  "redrive-question": HTMLElementTagNameMap["div"];
  "redrive-as": HTMLElementTagNameMap["input"];
  "redrive-outcome": HTMLElementTagNameMap["div"];
  "redrive-act": HTMLElementTagNameMap["button"];
  "redrive-cancel": HTMLElementTagNameMap["button"];
  "key-dialog": HTMLElementTagNameMap["dialog"];
  "key-form": HTMLElementTagNameMap["form"];
  "key-title": HTMLElementTagNameMap["h2"];
  "key-refused": HTMLElementTagNameMap["p"];
  "key": HTMLElementTagNameMap["input"];
  "key-cancel": HTMLElementTagNameMap["button"];
}
