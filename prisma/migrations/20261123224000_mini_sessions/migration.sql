-- A mini-program's session is a row like a browser's; its key travels in a header instead of a cookie.
ALTER TABLE "session" DROP CONSTRAINT "session_kind_known";
ALTER TABLE "session" ADD CONSTRAINT "session_kind_known" CHECK ("kind" IN ('shopper', 'admin', 'mini'));
