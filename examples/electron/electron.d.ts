/**
 * The few types of Electron that this example uses, after Electron 30. They stand here so that the example
 * type-checks without the electron package, which downloads a browser.
 */
declare module 'electron' {
  export const app: {
    whenReady(): Promise<void>;
    on(event: 'window-all-closed', listener: () => void): void;
    quit(): void;
  };

  export class BrowserWindow {
    constructor(options: { width?: number; height?: number; title?: string });
    loadURL(url: string): Promise<void>;
  }

  export interface CustomScheme {
    scheme: string;
    privileges: { standard?: boolean; secure?: boolean; supportFetchAPI?: boolean; stream?: boolean };
  }

  export const protocol: {
    registerSchemesAsPrivileged(schemes: CustomScheme[]): void;
    handle(scheme: string, handler: (request: Request) => Response | Promise<Response>): void;
  };

  export interface UtilityProcess {
    postMessage(message: unknown): void;
    on(event: 'message', listener: (message: unknown) => void): this;
    once(event: 'exit', listener: (code: number) => void): this;
    kill(): boolean;
  }

  export const utilityProcess: {
    fork(modulePath: string, args?: string[], options?: { serviceName?: string }): UtilityProcess;
  };

  /** `process.parentPort` of a utility process. */
  export interface ParentPort {
    postMessage(message: unknown): void;
    on(event: 'message', listener: (event: { data: unknown }) => void): this;
  }
}
